// Formats the result of the wire suite as text and JSON.
#pragma once

#include "tools/bench/report.hpp"
#include "tools/bench/wire_suite.hpp"

namespace notp::bench {

std::string wire_table(const WireResult& result);
json::object wire_json(const WireResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
