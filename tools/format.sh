#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats every C file of the tree with clang-format 14 (what the test lint.format checks).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tool=$(command -v clang-format-14 || command -v clang-format)
exec python3 "$root/tests/lint/check_format.py" "$root" "$tool" --fix
