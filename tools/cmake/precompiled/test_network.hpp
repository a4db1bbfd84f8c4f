#pragma once
// Extends network.hpp by the test framework.
#include <doctest/doctest.h>

#include "tools/cmake/precompiled/network.hpp"
