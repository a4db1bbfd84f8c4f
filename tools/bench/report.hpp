// What the reports of all suites have in common.
#pragma once

#include <optional>
#include <string>

#include "common/json/json.hpp"

namespace notp::bench {

// What the caller knows of a history: copied into the report, not used.
struct CorpusLabels {
  std::optional<uint64_t> seed;
  std::optional<double> scale;
};

// 12345 as "12,345".
std::string grouped(uint64_t value);
// The part over the whole, as "0.123"; "-" when there is no whole.
std::string ratio_text(double part, double whole);
double ratio(double part, double whole);

// What a report ends with, and without which a figure says nothing: labels, the machine with its
// load, and the versions of the parts, of the OPA beside when there was one.
void add_circumstances(json::object& report, const CorpusLabels& labels, std::string_view opa = {});
// The first line that OPA prints of its version; "unknown" when it does not run.
std::string opa_version(const std::string& program);

}  // namespace notp::bench
