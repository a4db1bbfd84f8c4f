#pragma once
// Extends standard.hpp by the test framework.
#include <doctest/doctest.h>

#include "tools/cmake/precompiled/standard.hpp"
