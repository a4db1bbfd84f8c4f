// Shared parts of the reports of all suites.
#pragma once

#include <optional>
#include <string>

#include "common/json/json.hpp"

namespace notp::bench {

// Labels of a history, given by the caller: copied into the report, not used.
struct CorpusLabels {
  std::optional<uint64_t> seed;
  std::optional<double> scale;
};

// 12345 as "12,345".
std::string grouped(uint64_t value);
// Part divided by whole, as "0.123"; "-" when the whole is 0.
std::string ratio_text(double part, double whole);
double ratio(double part, double whole);

// Adds the circumstances that a figure needs to be meaningful: labels, the machine with its load,
// and the versions of the components, including OPA if one was used.
void add_circumstances(json::object& report, const CorpusLabels& labels, std::string_view opa = {});
// The first line of OPA's version output; "unknown" when it does not run.
std::string opa_version(const std::string& program);

}  // namespace notp::bench
