#!/usr/bin/env bash
# Runs the checks of steps 1 to 8 against step8.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run_checks 8 "${1:-8}"
