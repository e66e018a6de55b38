#!/usr/bin/env bash
# Runs the checks of steps 1 to 3 against step3, or against a later step: scripts/test_step3.sh 8.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run_checks 3 "${1:-3}"
