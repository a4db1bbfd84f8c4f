// Records of decisions as a busy node makes them: a gateway's, payments and AuthZEN, some 800 bytes
// each, which as OPA's events would have some 1,440. The same seed and number give the same record
// on every machine.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/bytes.hpp"
#include "common/random.hpp"
#include "protocol/record/record.hpp"

namespace notp::samples {

inline constexpr int64_t kDecisionsStartNs = 1'767'225'600'000'000'000;  // 2026-01-01
inline constexpr int64_t kDecisionIntervalNs = 1'700'000;

// The wall clock at decision `i`.
inline int64_t decision_time_ns(uint64_t i) {
  return kDecisionsStartNs + static_cast<int64_t>(i) * kDecisionIntervalNs;
}

namespace decision_parts {

inline std::string_view pick(Random& random, auto const& from) {
  return from[random.below(from.size())];
}

// People are not equally busy: the minimum of two draws.
inline uint64_t person(Random& random) {
  return std::min(random.below(20'000), random.below(20'000));
}

inline std::string uuid(Random& random) {
  const uint64_t a = random.next_u64(), b = random.next_u64();
  return fmt::format("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", a >> 32, (a >> 16) & 0xFFFF,
                     a & 0xFFF, b >> 52, b & 0xFFFF'FFFF'FFFF);
}

// A token with these claims, whose signature a mask has removed.
inline std::string jwt(std::string_view claims) {
  std::string payload = to_base64(claims);
  payload.erase(payload.find_last_not_of('=') + 1);
  return "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9." + payload + ".";
}

// What all three have: who asks, through whom, and how long it took.
inline void add_request(record::DecisionContent& out, Random& random, uint64_t i) {
  out.eval_time_ns = decision_time_ns(i) - static_cast<int64_t>(40'000 + random.below(60'000));
  out.pep.uid = 998;
  out.pep.gid = 998;
  out.pep.pid = static_cast<uint32_t>(1'200 + random.below(8));
  out.times.evaluation_us = 40 + random.below(160);
  out.times.handler_us = out.times.evaluation_us + 15 + random.below(40);
  if (random.below(4) != 0) {
    out.trace_id = fmt::format("{:016x}{:016x}", random.next_u64(), random.next_u64());
    out.span_id = fmt::format("{:016x}", random.next_u64());
  }
}

inline void set_result(record::DecisionContent& out, Bytes result) {
  out.result = std::move(result);
  out.outcome = record::outcome_of(out.result);
}

inline record::DecisionContent gateway(Random& random) {
  constexpr std::array<std::string_view, 6> kMethods = {"GET",  "GET", "GET",
                                                        "POST", "PUT", "DELETE"};
  constexpr std::array<std::string_view, 6> kFirst = {"orders",   "customers", "carts",
                                                      "invoices", "stock",     "returns"};
  constexpr std::array<std::string_view, 4> kAgents = {
      "shop-web/7.41.2", "shop-ios/5.12.0 (iPhone16,2; iOS 19.2)", "okhttp/5.1.0",
      "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0"};
  constexpr std::array<std::string_view, 5> kRoles = {"customer", "customer", "agent", "clerk",
                                                      "supervisor"};
  record::DecisionContent out;
  out.path = "gateway/authz/allow";
  out.ledger = "100000000001/gateway";
  const std::string_view first = pick(random, kFirst), role = pick(random, kRoles);
  const uint64_t who = person(random), what = random.below(1'000'000);
  const std::string claims =
      fmt::format(R"({{"sub":"user-{}","roles":["{}"],"tenant":"t-{}","exp":{}}})", who, role,
                  who % 40, 1'767'229'200 + who % 3'600);
  out.input = fmt::format(
      R"({{"attributes":{{"source":{{"address":"10.{}.{}.{}","port":{}}},"request":{{"id":"{}",)"
      R"("method":"{}","path":["v2","{}","{}"],"host":"api.shop.example","scheme":"https",)"
      R"("headers":{{"user-agent":"{}","x-request-id":"{}","authorization":"",)"
      R"("accept":"application/json",)"
      R"("accept-language":"de-DE,de;q=0.9,en;q=0.8","x-forwarded-proto":"https"}}}}}},)"
      R"("token":"{}","claims":{}}})",
      who % 4, who % 256, who % 199, 32'768 + random.below(28'000), uuid(random),
      pick(random, kMethods), first, what, pick(random, kAgents), uuid(random), jwt(claims),
      claims);
  out.erased = {"/input/attributes/request/headers/authorization"};
  if (random.below(5) != 0) {
    set_result(out, random.below(12) != 0 ? "true" : "false");
  } else {
    set_result(out, fmt::format(R"({{"allow":{},"headers":{{"x-user":"user-{}","x-role":"{}"}},)"
                                R"("reason":"role {} on {}"}})",
                                random.below(8) != 0, who, role, role, first));
  }
  return out;
}

inline record::DecisionContent payment(Random& random) {
  constexpr std::array<std::string_view, 4> kCurrencies = {"EUR", "EUR", "USD", "CHF"};
  constexpr std::array<std::string_view, 4> kChannels = {"web", "app", "branch", "partner"};
  constexpr std::array<std::string_view, 5> kCountries = {"DE", "FR", "NL", "AT", "PL"};
  record::DecisionContent out;
  out.path = "payments/limits/decision";
  out.ledger = "100000000002/payments";
  const uint64_t cents = random.below(random.below(10) == 0 ? 5'000'000 : 20'000);
  out.input = fmt::format(
      R"({{"payment":{{"id":"{}","amount":{}.{:02},"currency":"{}","purpose":"invoice {}",)"
      R"("debtor":{{"iban":"DE{:02}50010517{:010}","country":"DE","customer":"c-{}"}},)"
      R"("creditor":{{"iban":"{}{:02}2004101{:011}","country":"{}","known":{}}}}},)"
      R"("session":{{"channel":"{}","device":"{:016x}","strong_auth":{},"age_s":{}}},)"
      R"("day":{{"count":{},"sum":{}.{:02}}},"velocity":[{},{},{}]}})",
      uuid(random), cents / 100, cents % 100, pick(random, kCurrencies), random.below(1'000'000),
      random.below(100), random.below(10'000'000'000), person(random), pick(random, kCountries),
      random.below(100), random.below(100'000'000'000), pick(random, kCountries),
      random.below(3) != 0, pick(random, kChannels), random.next_u64(), random.below(4) != 0,
      random.below(1'800), random.below(30), random.below(9'000), random.below(100),
      random.below(6), random.below(20), random.below(60));
  out.masked = {"/input/payment/debtor/iban", "/input/payment/creditor/iban"};
  const bool allowed = cents < 300'000;
  set_result(out, fmt::format(R"({{"allow":{},"step_up":{},"limit":3000.00,"score":0.{:03},)"
                              R"("reasons":[{}]}})",
                              allowed, cents > 50'000, random.below(1'000),
                              allowed ? "" : R"("amount over the day's limit")"));
  return out;
}

inline record::DecisionContent authzen(Random& random) {
  constexpr std::array<std::string_view, 4> kActions = {"can_read", "can_update", "can_approve",
                                                        "can_delete"};
  constexpr std::array<std::string_view, 3> kTypes = {"document", "case", "contract"};
  constexpr std::array<std::string_view, 3> kDepartments = {"legal", "sales", "claims"};
  record::DecisionContent out;
  out.api = record::Api::kAuthzen;
  out.path = "documents/authzen/decision";
  out.ledger = "100000000003/documents";
  const uint64_t who = person(random);
  out.input = fmt::format(
      R"({{"subject":{{"type":"user","id":"user-{}@shop.example","properties":{{)"
      R"("department":"{}","clearance":{}}}}},"action":{{"name":"{}"}},)"
      R"("resource":{{"type":"{}","id":"{}","properties":{{"owner":"user-{}@shop.example",)"
      R"("classification":{},"labels":["l{}","l{}"]}}}},)"
      R"("context":{{"time":"2026-01-01T{:02}:{:02}:{:02}Z","ip":"192.0.2.{}"}}}})",
      who, pick(random, kDepartments), random.below(5), pick(random, kActions),
      pick(random, kTypes), uuid(random), random.below(3) == 0 ? who : person(random),
      random.below(5), random.below(30), random.below(30), random.below(24), random.below(60),
      random.below(60), random.below(256));
  set_result(out,
             fmt::format(R"({{"decision":{},"context":{{"reason_admin":{{"en":"rule {}"}}}}}})",
                         random.below(5) != 0, random.below(20)));
  return out;
}

// One of a hundred goes another way: no rule decided, a result nobody can read as yes or no, or the
// evaluation failed.
inline void make_unusual(record::DecisionContent& out, Random& random) {
  switch (random.below(300)) {
    case 0:
      out.result.reset();
      out.outcome = record::Outcome::kUndefined;
      break;
    case 1:
      set_result(out, R"(["manual","review"])");
      break;
    case 2:
      out.result.reset();
      out.outcome = record::Outcome::kError;
      out.error = record::Failure{"internal_error", "error(s) occurred while evaluating query", ""};
      break;
    default:
      break;
  }
}

}  // namespace decision_parts

// Decision `i` of the node with this seed: six of ten at the gateway, three payments, one AuthZEN.
inline record::DecisionContent decision(uint64_t seed, uint64_t i) {
  SeededRandom random(seed * 0x9E37'79B9'7F4A'7C15 + i);
  const uint64_t kind = random.below(10);
  record::DecisionContent out = kind < 6   ? decision_parts::gateway(random)
                                : kind < 9 ? decision_parts::payment(random)
                                           : decision_parts::authzen(random);
  decision_parts::add_request(out, random, i);
  decision_parts::make_unusual(out, random);
  return out;
}

// What decides them: three ledgers in the embedded engine.
inline record::ActiveSet active_set() {
  const auto release = [](uint64_t zone, std::string name, uint64_t version) {
    const std::string text = fmt::format("{}/{} v{}", zone, name, version);
    return record::ActiveRelease{
        {{zone, std::move(name)}, 1, version, sha256(text), sha256("content of " + text)}, "fresh"};
  };
  return {{release(100'000'000'001, "gateway", 41), release(100'000'000'002, "payments", 7),
           release(100'000'000'003, "documents", 3)},
          "embedded",
          "1.22.2",
          "",
          R"({"ledgers":{"100000000001/gateway":{"version":41}}})"};
}

// Decision `i` as the bytes of the record at `position` of a log that begins with the start of run
// 1 and what is active then.
inline Bytes decision_record(uint64_t seed, uint64_t i, record::Position position) {
  const record::Position active = position > 1 ? 1 : 0;
  return record::encode({{position, 1, active}, decision_time_ns(i), decision(seed, i)});
}

}  // namespace notp::samples
