// Models for OPA in tests.
#pragma once

#include "tests/support/agent/compositions.hpp"

namespace notp {

inline TestLedger payments(uint64_t version, const Bytes& rule) {
  return {
      "payments",
      version,
      {"payments"},
      {{"manifest.json",
        R"({"metadata": {"name": "payments"}, "runtimes": {"rego": {"language": {"name": "rego", "version": "1"}}},
                "partitions": {"/": {"runtime": "rego"}}, "roots": ["payments"]})"},
       {"payments/allow.rego", rule},
       {"payments/allow_test.rego", "package payments\n\nthis does not even parse"},
       {"payments/tests/more.rego", "package payments\n\nnor does this"},
       {"tests/data.json", "{\"payments\": \"outside of the roots\"}"},
       {"payments/limits/data.json", "{\"max\": 100}"}}};
}

inline Bytes rule(uint64_t number) {
  return fmt::format(
      "package payments\n\nallow if input.amount <= data.payments.limits.max\n\nnumber := {}\n",
      number);
}

}  // namespace notp
