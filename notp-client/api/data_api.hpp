// OPA's data API (https://www.openpolicyagent.org/docs/rest-api#data-api): parses a request into a
// question, and formats the answer as OPA does. Pure.
#pragma once

#include <expected>

#include "common/http/message.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp::api {

struct DataQuestion {
  pdp::Question question;   // with one input; without a caller
  bool pretty = false;      // indent the answer for a person
  bool provenance = false;  // with versions and revisions
  bool is_post = false;     // then a missing `input` gets a warning
};

// `GET /v1/data/…` with ?input=, and `POST /v1/data/…` with a body, JSON or YAML. Errors in the
// input are found by the engine, as in OPA.
DataQuestion parse_data_question(const http::Request& request);
// `POST /v0/data/…` and `POST /`, which uses the default path: the body is the input.
DataQuestion parse_plain_question(const http::Request& request);

// A boolean query parameter of OPA: true when given without a value, or as "true" in any case.
bool flag_parameter(const http::Request& request, std::string_view name);

struct AnswerOptions {
  bool pretty = false;
  bool warns_without_input = false;
  std::string_view decision_id;
  std::optional<std::string> engine_version;  // of OPA; set: answer with provenance
};

// {"decision_id", "provenance", "explanation", "metrics", "result", "rule_labels", "warning"}, in
// OPA's order, each if present. Without `result` the value is undefined, which a PEP must treat as
// a denial.
http::Response data_answer(const AnswerOptions& options, const Result<pdp::Decision>& decision);
// The value alone; if undefined: 404 with OPA's message.
http::Response plain_answer(const std::vector<std::string>& path,
                            const Result<pdp::Decision>& decision, bool pretty);

// A body composed of JSON texts, with a line break at its end as in OPA; `pretty` indents it.
http::Response json_text_response(Bytes body, bool pretty);

// In OPA's form: 400 for a malformed input, 413 over a limit, 500 with OPA's `errors` for a policy
// that failed; 503 while no model is active, for a path in quarantine, when too many requests wait,
// and for a decision that cannot be recorded.
http::Response evaluation_error_response(const Error& error);

}  // namespace notp::api
