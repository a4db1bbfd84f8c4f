#pragma once
// network.hpp, and the test framework.
#include "network.hpp"

#include <doctest/doctest.h>
