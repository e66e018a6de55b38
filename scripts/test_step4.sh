#!/usr/bin/env bash
# Runs the checks of steps 1 to 4 against step4, or against a later step: scripts/test_step4.sh 8.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run_checks 4 "${1:-4}"
