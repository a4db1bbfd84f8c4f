#pragma once
// network.hpp, and what the programs' commands include.
#include "network.hpp"

#include <CLI/CLI.hpp>
