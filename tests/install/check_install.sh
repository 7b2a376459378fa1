#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_install.sh BUILD EXAMPLE CMAKE CC: see CMakeLists.txt here.
set -euo pipefail
build=$1 example=$2 cmake=$3 cc=$4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix

"$cmake" --install "$build" --prefix "$prefix" >/dev/null
find "$prefix" -type f | sed "s|$prefix/||" | sort >"$scratch/files"
for want in 'bin/octet$' 'include/octet/octet.h$' 'liboctet.so.0' 'octet-config.cmake' 'octet.pc' \
    'man1/octet.1$' 'man1/octet-doctor.1$' 'bash-completion/completions/octet$' '_octet$' \
    'octet.fish$' 'LICENSE$'; do
    grep -q "$want" "$scratch/files" || { echo "not installed: $want"; cat "$scratch/files"; exit 1; }
done
# Only the public API is exported, and no file names the build folder.
lib=$(find "$prefix" -name 'liboctet.so.0.*')
others=$(nm -D --defined-only "$lib" | awk '$3 !~ /^(octet_|OCTET_)/ {print $3}')
[ -z "$others" ] || { echo "exported but not public: $others"; exit 1; }
if grep -rIl "$build" "$prefix" --include='*.cmake' --include='*.pc' --include='*.h'; then
    echo "these files name the build folder"
    exit 1
fi

"$cmake" -S "$example" -B "$scratch/example" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$cc" >/dev/null
"$cmake" --build "$scratch/example" >/dev/null
"$scratch/example/example"
"$scratch/example/example_cpp"

pc=$(dirname "$(find "$prefix" -name octet.pc)")
# the scratch prefix is not the configured one, as in any staged installation
flags=$(PKG_CONFIG_PATH=$pc pkg-config --define-variable=prefix="$prefix" --cflags --libs octet)
# shellcheck disable=SC2086
"$cc" -std=c11 -Wall -Werror "$example/example.c" -o "$scratch/by_pkgconfig" $flags \
    -Wl,-rpath,"$(dirname "$lib")"
"$scratch/by_pkgconfig"
"$prefix/bin/octet" --version
for command in $("$prefix/bin/octet" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\) .*/\1/p'); do
    grep -q "man1/octet-$command.1$" "$scratch/files" || { echo "no man page: $command"; exit 1; }
done

# The Debian package holds the same files and its program runs from where it is unpacked.
if command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null; then
    (cd "$build" && cpack -G DEB -B "$scratch/deb" >"$scratch/cpack.log" 2>&1) ||
        { cat "$scratch/cpack.log"; exit 1; }
    dpkg-deb -x "$scratch"/deb/*.deb "$scratch/unpacked"
    (cd "$scratch/unpacked" && find . -path '*/bin/*' -o -path '*/man1/*' -o -path '*/include/*' -type f) |
        grep -c . | { read -r n; [ "$n" -gt 20 ] || { echo "the package has $n files"; exit 1; }; }
    dpkg-deb -f "$scratch"/deb/*.deb Depends | grep -q libhdf5 || { echo "no dependencies"; exit 1; }
    "$(find "$scratch/unpacked" -path '*/bin/octet')" --version
else
    echo "no dpkg-deb: the Debian package is not tested"
fi
