#pragma once
// network.hpp, and what the programs' commands include.
#include <CLI/CLI.hpp>

#include "tools/cmake/precompiled/network.hpp"
