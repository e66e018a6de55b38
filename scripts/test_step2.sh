#!/usr/bin/env bash
# Runs the checks of steps 1 to 2 against step2, or against a later step: scripts/test_step2.sh 8.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run_checks 2 "${1:-2}"
