#!/usr/bin/env bash
# Runs the checks of steps 1 to 1 against step1, or against a later step: scripts/test_step1.sh 8.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run_checks 1 "${1:-1}"
