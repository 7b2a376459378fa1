# SPDX-License-Identifier: Apache-2.0
# What holds for every subcommand: help, version, exit codes, output streams, signals.
run 0 --version
grep -qE '^octet [0-9]+\.[0-9]+\.[0-9]+$' out || die "odd version"
[ ! -s err ] || die "--version writes to stderr"
run 0 --help
says out "Commands:"
for command in $(sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\) .*/\1/p' out); do
    run 0 "$command" --help
    says out "Usage: octet $command"
    says out "Examples:"
    run 2 "$command" --no-such-option
    last "octet: FAILED unknown option --no-such-option"
done

run 2
last "octet: FAILED"
run 2 doctro
last "did you mean 'doctor'?"

run 0 doctor
says out "oneDNN"
last "octet: OK"
run 0 -V
run 0 doctor -q
[ ! -s err ] || die "-q is not quiet"
run 0 doctor --json
python3 -m json.tool out >/dev/null || die "not JSON"
run 0 doctor --json=facts.json
python3 -m json.tool facts.json >/dev/null || die "not JSON"
says out "oneDNN"
run 2 doctor --json=facts.json
last "use --force"
run 0 doctor --json=facts.json --force
run 2 doctor --threads none
last "not a whole number"
run 0 doctor --color always
grep -q $'\x1b\[32m' err || die "no colour with --color always"
run 0 doctor
! grep -q $'\x1b' err || die "colour into a file"

# A closed pipe is the reader's choice, a full disk is not.
"$octet" doctor 2>err | head -n 1 >/dev/null
[ "${PIPESTATUS[0]}" -eq 0 ] || die "a closed pipe fails"
if [ -w /dev/full ]; then
    "$octet" doctor >/dev/full 2>err
    [ $? -eq 8 ] || die "a full disk is not exit code 8"
    last "octet: FAILED stdout: cannot write"
fi

for shell in bash zsh fish; do
    run 0 completion $shell
    cp out $shell.script
    ! command -v $shell >/dev/null || $shell -n $shell.script || die "$shell script is broken"
done
run 2 completion tcsh

# bash really completes: words of a command, values of an option
complete_with() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _octet
    printf '%s\n' "${COMPREPLY[@]}"
}
. ./bash.script
complete_with octet doc | grep -qx doctor || die "bash does not complete commands"
complete_with octet doctor --js | grep -qx -- --json || die "bash does not complete options"
complete_with octet doctor --progress pl | grep -qx plain || die "bash does not complete values"
touch model.onnx
complete_with octet doctor mod | grep -qx model.onnx || die "bash does not complete files"

run 0 --man doctor
says out ".TH \"OCTET-DOCTOR\" 1"
