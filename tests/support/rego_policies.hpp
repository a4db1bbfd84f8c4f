// Policies from texts, and what they answer, for tests of the engine.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/rego/engine.hpp"

namespace notp {

using rego::Diagnostic;
using rego::Limits;
using rego::Policy;
using rego::SourceFile;

using PolicyPtr = std::shared_ptr<const Policy>;

inline std::vector<Diagnostic> findings(const std::vector<SourceFile>& modules,
                                        std::string_view data = {}, const Limits& limits = {}) {
  auto compiled = Policy::compile(modules, data, limits);
  return compiled ? std::vector<Diagnostic>{} : std::move(compiled).error();
}

inline PolicyPtr compiled(const std::vector<SourceFile>& modules, std::string_view data = {},
                          const Limits& limits = {}) {
  auto policy = Policy::compile(modules, data, limits);
  if (!policy) {
    for (const Diagnostic& one : policy.error()) MESSAGE(to_string(one));
    FAIL("the policies do not compile");
  }
  return *policy;
}

inline std::string value(const Policy& policy, std::string_view path, std::string_view input = {}) {
  auto result = policy.evaluate(path, input);
  if (!result) return "error: " + result.error().message;
  return result->value_or("undefined");
}

inline const SourceFile kAllow{"allow.rego", R"(package shop.authz

default allow := false

allow if input.user in data.shop.admins

allow if {
	input.action == "read"
	not banned
}

banned if input.user == "mallory"

reasons contains "banned" if banned

limit := 5 if input.user == "alice"
)"};

}  // namespace notp
