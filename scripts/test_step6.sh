#!/usr/bin/env bash
# Runs the checks of steps 1 to 6 against step6, or against a later step: scripts/test_step6.sh 8.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run_checks 6 "${1:-6}"
