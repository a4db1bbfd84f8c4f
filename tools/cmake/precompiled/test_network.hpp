#pragma once
// network.hpp, and the test framework.
#include <doctest/doctest.h>

#include "tools/cmake/precompiled/network.hpp"
