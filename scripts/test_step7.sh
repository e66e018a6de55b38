#!/usr/bin/env bash
# Runs the checks of steps 1 to 7 against step7, or against a later step: scripts/test_step7.sh 8.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run_checks 7 "${1:-7}"
