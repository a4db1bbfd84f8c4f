// The JSON messages of a model's validation (common/rego/worker/README.md): pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/bytes.hpp"
#include "common/rego/check.hpp"

namespace notp::rego {

// Knowledge from earlier reports: opaque to all but the worker.
struct CheckKnowledge {
  std::vector<std::pair<std::string, std::string>> facts;  // key, JSON
  std::vector<std::string> good;
};

// Returns the key of a module's facts.
std::string facts_key(const CheckModule& module);

struct CheckTimes {
  int64_t test_ms = 0, tests_ms = 0;
};
// `one_by_one`: tests do not run in parallel, so that effects can be attributed to one test.
Bytes encode_check(const CheckRequest& request, const CheckKnowledge& knowledge,
                   const CheckTimes& times, bool one_by_one);

struct DecodedReport {
  std::vector<Hash> want;  // if not empty, no other member is set
  CheckReport report;
  CheckKnowledge learnt;
};
// The worker is not trusted. kMessage.
Result<DecodedReport> decode_report(ByteView json_text);

Bytes encode_stubs(const std::vector<CheckModule>& callers,
                   const std::vector<CheckModule>& missing);
Result<std::vector<Bytes>> decode_stubs(ByteView json_text);

}  // namespace notp::rego
