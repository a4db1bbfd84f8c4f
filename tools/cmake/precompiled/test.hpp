#pragma once
// standard.hpp, and the test framework.
#include <doctest/doctest.h>

#include "tools/cmake/precompiled/standard.hpp"
