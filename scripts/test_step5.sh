#!/usr/bin/env bash
# Runs the checks of steps 1 to 5 against step5, or against a later step: scripts/test_step5.sh 8.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run_checks 5 "${1:-5}"
