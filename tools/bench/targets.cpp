#include "tools/bench/targets.hpp"

#include <fmt/format.h>

#include "tools/bench/report.hpp"

namespace notp::bench {
namespace {

std::string number_text(double value) {
  return value >= 1'000 ? grouped(static_cast<uint64_t>(value)) : fmt::format("{:.4g}", value);
}

}  // namespace

std::string met_text(bool met) { return met ? "met" : "missed"; }

std::string targets_table(const std::vector<Target>& targets, const std::string& reason) {
  if (targets.empty()) return fmt::format("\nTargets: none apply here, {}.\n", reason);
  std::string out = fmt::format("\n{:<58}{:>12}{:>12}{:>8}{:>12}  {}\n", "targets", "figure",
                                "target", "", "control", "which is");
  for (const Target& t : targets)
    out += fmt::format("{:<58}{:>12}{:>12}{:>8}{:>12}  {}\n", t.what, number_text(t.figure),
                       (t.at_least ? ">= " : "<= ") + number_text(t.bound), met_text(t.met()),
                       t.control_name.empty() ? "-" : number_text(t.control), t.control_name);
  return out;
}

json::array targets_json(const std::vector<Target>& targets) {
  json::array out;
  for (const Target& t : targets) {
    json::object row{{"what", t.what},
                     {"figure", t.figure},
                     {"target", t.bound},
                     {"at_least", t.at_least},
                     {"met", t.met()}};
    if (!t.control_name.empty()) {
      row["control"] = t.control;
      row["control_name"] = t.control_name;
    }
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace notp::bench
