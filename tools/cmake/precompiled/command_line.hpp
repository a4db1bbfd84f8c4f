#pragma once
// Extends network.hpp by the headers of the programs' commands.
#include <CLI/CLI.hpp>

#include "tools/cmake/precompiled/network.hpp"
