// A question with all that its record says about who asked, and what becomes of it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "notp-client/pdp/pdp.hpp"
#include "protocol/record/record.hpp"

namespace notp::decision {

using SteadyClock = std::chrono::steady_clock;

// The route by which a question came. The numbers are those of record::Api.
enum class DecisionApi : uint8_t {
  kData,       // OPA's POST and GET /v1/data
  kPlainData,  // OPA's POST /v0/data
  kDefault,    // OPA's POST /
  kAuthzen,
  kHealth,  // a rule of the policy about the agent's health
};

// A transaction token of an input. What it says is empty unless the agent has verified it.
struct SeenTxn {
  std::string pointer;  // "/input/…"
  Hash token;           // SHA-256
  std::string txn, sub, req_wl;
};

struct DecisionRequest {
  DecisionApi api = DecisionApi::kData;
  pdp::Question question;
  // For the record:
  record::Pep pep = {};
  std::string requested_by = {};                // the peer's address as OPA has it
  std::string trace_id = {}, span_id = {};      // W3C, lower-case hexadecimal; empty: none
  SteadyClock::time_point started = {};         // of the handler; zero: when it is decided
  std::vector<std::vector<SeenTxn>> txns = {};  // of each input; no elements: none of any
};

// The result of a request.
struct DecisionOutcome {
  // For the answer of the data API and for the log: of the first input's record, the id by which an
  // OPA has logged it, or a random UUID; empty if neither includes it.
  std::string id;
  pdp::Decisions decisions;  // one for each input, each with the set that decided

  // For a request with one input.
  Result<pdp::Decision> only() &&;
};

}  // namespace notp::decision
