#include "notp-client/pdp/opa_tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/assert.hpp"

namespace notp::pdp {

namespace {

constexpr const char* kDocument = "/v1/data/tokens";
constexpr const char* kPatchType = "application/json-patch+json";
constexpr size_t kAnswerShownBytes = 300;
constexpr const char* kNoBundle =
    "OPA has no bundle of this agent yet, or one from before this node had a lane";
constexpr const char* kProtect =
    "run it with --authentication=token --authorization=basic and the configuration that "
    "'notp-client opa-config' prints";

}  // namespace

std::string_view opa_tokens_state_name(OpaTokensState state) {
  switch (state) {
    case OpaTokensState::kUnprotected:
      return "unprotected";
    case OpaTokensState::kRefused:
      return "refused";
    case OpaTokensState::kFilling:
      return "filling";
    case OpaTokensState::kReady:
      return "ready";
    case OpaTokensState::kWaiting:
      break;
  }
  return "waiting";
}

OpaTokens::OpaTokens(std::string instance, std::string proof, OpaTokensLimits limits)
    : instance_(std::move(instance)), proof_(std::move(proof)), limits_(limits), changes_(limits) {}

void OpaTokens::apply(lane::TableUpdate update, Done done) {
  if (update.feed.is_whole) {
    has_table_ = true;
    is_lost_ = false;
    // It may be another OPA than the one that was probed when the wait began.
    if (step_ == Step::kTable) step_ = Step::kProbeRead;
  } else if (!has_table_) {
    finished_.emplace_back(std::move(done),
                           fail(ErrorCode::kUnavailable, "OPA has lost its tokens"));
    return;
  }
  changes_.put(std::move(update), std::move(done));
}

// --- calls

void OpaTokens::on_status(TimeMs now_ms) {
  retry_at_ms_ = std::min(retry_at_ms_, now_ms);
  needs_check_ = step_ >= Step::kPatch;
}

std::optional<TimeMs> OpaTokens::next_deadline() const {
  if (is_calling_) return std::nullopt;
  const bool waits = step_ == Step::kTable && !has_table_;
  const bool is_idle = step_ == Step::kPatch && changes_.is_idle() && !needs_check_;
  return waits || is_idle ? std::nullopt : std::optional(retry_at_ms_);
}

std::optional<OpaTokensCall> OpaTokens::next(TimeMs now_ms) {
  const auto due_ms = next_deadline();
  if (!due_ms || *due_ms > now_ms) return std::nullopt;
  is_calling_ = true;
  if (step_ == Step::kPatch && std::exchange(needs_check_, false)) step_ = Step::kCheckRead;
  switch (step_) {
    case Step::kProbeRead:
    case Step::kCheckRead:
      return OpaTokensCall{
          .method = "GET", .path = fmt::format("{}/lane", kDocument), .has_secret = false};
    case Step::kProbeWrite:
      // An empty patch changes nothing where it is let in.
      return OpaTokensCall{.method = "PATCH",
                           .path = kDocument,
                           .content_type = kPatchType,
                           .body = "[]",
                           .has_secret = false};
    case Step::kProbeQuery:
      return OpaTokensCall{.method = "POST",
                           .path = "/v1/query",
                           .content_type = "application/json",
                           .body = R"({"query":"data.tokens.lane"})",
                           .has_secret = false};
    case Step::kTable:
    case Step::kFrame:
      step_ = Step::kFrame;
      return frame();
    case Step::kPatch:
      NOTP_ASSERT(changes_.has_patch(), "a call is due");
      return OpaTokensCall{.method = "PATCH",
                           .path = kDocument,
                           .content_type = kPatchType,
                           .body = changes_.patch()};
    case Step::kProbeSecret:
    case Step::kCheckInstance:
      break;
  }
  return OpaTokensCall{.method = "GET", .path = fmt::format("{}/instance", kDocument)};
}

OpaTokensCall OpaTokens::frame() const {
  const json::value frame{{"instance", instance_},
                          {"proof", proof_},
                          {"lane", lane_value(*changes_.wanted_readout(), false)},
                          {"live", json::object()},
                          {"deleted", json::object()},
                          {"marks", json::object()},
                          {"lists", json::object()}};
  return {.method = "PUT",
          .path = kDocument,
          .content_type = "application/json",
          .body = json::serialize(frame)};
}

// --- answers

void OpaTokens::on_answer(unsigned status, ByteView body, TimeMs now_ms) {
  NOTP_ASSERT(is_calling_, "an answer follows a call");
  is_calling_ = false;
  if (status == 0)
    return lose(OpaTokensState::kWaiting, fmt::format("OPA does not answer: {}", body), now_ms);
  switch (step_) {
    case Step::kProbeRead:
    case Step::kProbeWrite:
    case Step::kProbeQuery:
    case Step::kCheckRead:
      return on_probe(status, now_ms);
    case Step::kProbeSecret:
      return on_secret(status, now_ms);
    case Step::kTable:
    case Step::kFrame:
      if (!is_written(status, body, now_ms)) return;
      step_ = Step::kPatch;
      needs_check_ = true;  // it has the proof now
      return;
    case Step::kPatch:
      if (is_written(status, body, now_ms)) on_patched();
      return;
    case Step::kCheckInstance:
      on_instance(status, body, now_ms);
  }
}

void OpaTokens::on_probe(unsigned status, TimeMs now_ms) {
  if (status == 401 || status == 403) {
    step_ = static_cast<Step>(static_cast<uint8_t>(step_) + 1);
    return;
  }
  if (status >= 500)  // it checks, and has no policy to check by yet
    return lose(OpaTokensState::kWaiting, kNoBundle, now_ms);
  const std::string_view what = step_ == Step::kProbeWrite   ? "write data.tokens"
                                : step_ == Step::kProbeQuery ? "ask it any query"
                                                             : "read data.tokens";
  lose(OpaTokensState::kUnprotected,
       fmt::format("OPA lets anybody {} (it answered {} without a secret), so no token is written: "
                   "{}",
                   what, status, kProtect),
       now_ms);
}

void OpaTokens::on_secret(unsigned status, TimeMs now_ms) {
  if (status != 200)
    return lose(OpaTokensState::kWaiting,
                fmt::format("OPA does not take the agent's secret ({}). {}", status, kNoBundle),
                now_ms);
  finding_.clear();
  state_ = OpaTokensState::kFilling;
  step_ = Step::kTable;
  is_lost_ = !has_table_;
}

// Another process, or another writer, has something else there.
void OpaTokens::on_instance(unsigned status, ByteView body, TimeMs now_ms) {
  const auto answer = status == 200 ? parse_json(body) : Result<json::value>(json::value());
  const json::object* const top = answer ? answer->if_object() : nullptr;
  const json::value* const result = top ? top->if_contains("result") : nullptr;
  if (result && result->is_string() && result->get_string() == instance_) {
    step_ = Step::kPatch;
    return;
  }
  lose_at_once(now_ms);
}

bool OpaTokens::is_written(unsigned status, ByteView body, TimeMs now_ms) {
  if (status / 100 == 2) return true;
  if (status == 404 && step_ == Step::kPatch) {
    lose_at_once(now_ms);
  } else {
    lose(status == 401 ? OpaTokensState::kWaiting : OpaTokensState::kRefused,
         fmt::format("OPA refuses tokens: {} {}", status,
                     printable(body.substr(0, kAnswerShownBytes))),
         now_ms);
  }
  return false;
}

void OpaTokens::on_patched() {
  auto done = changes_.patch_done();
  if (!done) return;
  for (Done& each : *done) finished_.emplace_back(std::move(each), Result<void>());
  state_ = OpaTokensState::kReady;
  finding_.clear();
  retry_ms_ = 0;
  // Tokens that were refused may fit now.
  const size_t refused = changes_.refused_tokens();
  is_lost_ = refused > 0 && changes_.tokens() + refused <= limits_.tokens_max;
}

void OpaTokens::lose_at_once(TimeMs now_ms) {
  const bool is_first = retry_ms_ == 0;
  lose(OpaTokensState::kWaiting, "OPA was started again", now_ms);
  if (is_first) retry_at_ms_ = now_ms;
}

void OpaTokens::lose(OpaTokensState state, std::string finding, TimeMs now_ms) {
  const Error error{ErrorCode::kUnavailable, finding, {}};
  for (Done& each : changes_.clear())
    finished_.emplace_back(std::move(each), std::unexpected(error));
  has_table_ = needs_check_ = is_lost_ = false;
  step_ = Step::kProbeRead;
  retry_ms_ = retry_ms_ == 0 ? limits_.retry_min_ms : std::min(2 * retry_ms_, limits_.retry_max_ms);
  retry_at_ms_ = now_ms + retry_ms_;
  state_ = state;
  finding_ = std::move(finding);
}

// --- what the caller takes

std::vector<std::pair<OpaTokens::Done, Result<void>>> OpaTokens::take_finished() {
  return std::exchange(finished_, {});
}

bool OpaTokens::take_lost() { return std::exchange(is_lost_, false); }

OpaTokensStatus OpaTokens::status() const {
  OpaTokensStatus out{.state = state_,
                      .tokens = changes_.tokens(),
                      .refused = changes_.refused_tokens(),
                      .lists = changes_.refused_lists(),
                      .finding = finding_};
  if (out.finding.empty() && out.refused + out.lists > 0)
    out.finding = fmt::format(
        "{} tokens and {} status lists are more than an OPA gets (pdp.opa.tokens_max, {}): lookups "
        "of these tokens are undefined, and what these lists say is revoked. Use the embedded PDP, "
        "or a lane with fewer tokens",
        out.refused, out.lists, limits_.tokens_max);
  return out;
}

}  // namespace notp::pdp
