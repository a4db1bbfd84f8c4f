#include "notp-client/decision/decision_recorder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/json/json.hpp"
#include "common/json/json_members.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/utf8_cut.hpp"
#include "common/uuid.hpp"
#include "notp-client/decision/decision_limits.hpp"
#include "notp-client/decision/jws_signatures.hpp"
#include "notp-client/decision/log_mask.hpp"
#include "notp-client/decision/recorded_input.hpp"

namespace notp::decision {
namespace {

constexpr std::string_view kPolicyDrop = "data.system.log.drop";
// What a record has besides its texts.
constexpr size_t kFrameBytes = 4 << 10;

int64_t unix_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// RFC 3339, as OPA's event has it.
std::string timestamp(int64_t ns) {
  constexpr int64_t kNsPerMs = 1'000'000, kNsPerSecond = 1'000'000'000;
  std::string text = utc_time(ns / kNsPerMs);
  if (text.ends_with('Z')) text.pop_back();
  return text + fmt::format(".{:09}Z", ns % kNsPerSecond);
}

Bytes event_start(const std::vector<std::pair<std::string, std::string>>& labels) {
  json::object object;
  for (const auto& [name, value] : labels) object[name] = value;
  return "{\"labels\":" + json::serialize(object);
}

uint64_t microseconds(SteadyClock::duration duration) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

std::optional<Hash> hash_of(std::optional<ByteView> text) {
  return text ? std::optional(sha256(*text)) : std::nullopt;
}

// Returns another JSON of a record, masked; empty if it is too large, or not JSON.
Bytes masked_extra(std::optional<ByteView> text) {
  if (!text || text->empty() || text->size() > limits::kRecordedExtraBytesMax) return {};
  return LogMask::apply_built_in(*text).value_or(Bytes());
}

std::string masked_message(std::string_view message) {
  return without_jws_signatures(printable(message, limits::kErrorTextBytesMax));
}

// The evaluation's first error names the failure, as in OPA's event; else the agent's own does.
record::Failure failure_of(const Error& error) {
  record::Failure out{.code = std::string(error_traits(error.code).name),
                      .message = masked_message(error.message),
                      .errors = masked_extra(rego::evaluation_errors(error))};
  const auto errors = out.errors.empty() ? fail(ErrorCode::kMessage, {}) : parse_json(out.errors);
  const json::array* const list = errors ? errors->if_array() : nullptr;
  const json::object* const first = list && !list->empty() ? list->front().if_object() : nullptr;
  const auto text = [&](std::string_view name) {
    const json::value* const value = first ? first->if_contains(name) : nullptr;
    return value && value->is_string()
               ? std::string(utf8_cut(value->get_string(), limits::kErrorTextBytesMax))
               : std::string();
  };
  if (auto code = text("code"); !code.empty()) out.code = std::move(code);
  if (auto message = text("message"); !message.empty()) out.message = std::move(message);
  return out;
}

// What the engine says of the lane that the evaluation asked; a node without one is nothing to say.
std::optional<record::Lane> lane_of(std::optional<ByteView> text) {
  if (!text || text->size() > limits::kRecordedExtraBytesMax) return std::nullopt;
  const auto seen = parse_json(*text);
  const json::object* const lane = seen ? seen->if_object() : nullptr;
  if (!lane) return std::nullopt;
  const auto text_at = [&](std::string_view name) {
    const json::value* const value = lane->if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  record::Lane out{.name = text_at("name"), .state = text_at("state")};
  if (out.name.empty()) return std::nullopt;
  const json::value* const revision = lane->if_contains("revision");
  if (revision && revision->is_uint64()) out.revision = revision->get_uint64();
  if (revision && revision->is_int64() && revision->get_int64() >= 0)
    out.revision = static_cast<uint64_t>(revision->get_int64());
  return out;
}

bool is_at_or_above(std::string_view upper, std::string_view pointer) {
  return pointer.starts_with(upper) &&
         (pointer.size() == upper.size() || pointer[upper.size()] == '/');
}

// Whether somebody wants the value at a pointer out of records. That the token itself is replaced,
// as always, says nothing about its subject.
bool is_hidden(std::string_view pointer, const record::DecisionContent& content) {
  if (content.withheld) return true;
  const auto covers = [pointer](const std::string& each) { return is_at_or_above(each, pointer); };
  return std::ranges::any_of(content.erased, covers) ||
         std::ranges::any_of(content.commitments, covers, &record::Commitment::pointer) ||
         std::ranges::any_of(content.masked, [&](const std::string& each) {
           return each != pointer && covers(each);
         });
}

size_t bytes_of(const record::DecisionContent& content) {
  size_t bytes = kFrameBytes + content.path.size() + content.nd_builtin_cache.size() +
                 content.rule_labels.size() + content.times.all.size();
  for (const auto* text : {&content.input, &content.result})
    if (*text) bytes += (*text)->size();
  if (content.error) bytes += content.error->message.size() + content.error->errors.size();
  for (const auto* list : {&content.erased, &content.masked})
    for (const std::string& pointer : *list) bytes += pointer.size() + 4;
  for (const record::Commitment& one : content.commitments) bytes += one.pointer.size() + 64;
  return bytes;
}

}  // namespace

struct DecisionRecorder::Subject {
  const DecisionRequest& request;
  size_t index = 0;
  const pdp::Decision* decision = nullptr;  // null: it failed
  const Error* error = nullptr;             // else this
  RecordedSetPtr set;
  std::vector<JsonMember> extras;

  std::optional<ByteView> extra(std::string_view name) const { return json_member(extras, name); }
  std::optional<ByteView> result() const {
    return decision && decision->value ? std::optional<ByteView>(*decision->value) : std::nullopt;
  }
  // The policy's rules about the log that came with the decision.
  std::vector<JsonMember> log_rules() const {
    return json_members(extra("log").value_or("{}")).value_or(std::vector<JsonMember>());
  }
  // Whether the engine got as far as to these rules.
  bool were_rules_evaluated() const { return decision ? decision->time_ns != 0 : !extras.empty(); }
  record::Outcome outcome() const {
    return error ? record::Outcome::kError : record::outcome_of(decision->value);
  }
};

// Pointers into it stay valid while it is neither copied nor moved.
struct DecisionRecorder::AppliedRules {
  // Those of `ledgers`, then those of tokens, then those of the policy.
  std::vector<const MaskRules*> rules;
  std::vector<LedgerMasks*> ledgers;
  MaskRules of_policy;
};

DecisionRecorder::DecisionRecorder(spool::DecisionLog& log, RecorderOptions options,
                                   prometheus::Registry& metrics)
    : log_(log),
      options_(std::move(options)),
      event_start_(event_start(options_.labels)),
      sets_(options_.engine, options_.engine_version, options_.tokens),
      failures_(prometheus::BuildCounter()
                    .Name("notp_agent_mask_failures_total")
                    .Help("Decisions recorded without input and result, because masking failed")
                    .Register(metrics)
                    .Add({})),
      unmatched_(prometheus::BuildGauge()
                     .Name("notp_agent_mask_unmatched")
                     .Help("Masks of manifests that matched nothing in the last whole day")
                     .Register(metrics)
                     .Add({})),
      unmatched_due_ms_(options_.clock().boot_ms + limits::kMaskUnmatchedMs) {}

void DecisionRecorder::prepare(DecisionRequest& request) const {
  if (request.started == SteadyClock::time_point()) request.started = SteadyClock::now();
  if (options_.engine != "embedded") return;
  request.question.flags |= rego::kLogRules;
  if (options_.has_nd_cache) request.question.flags |= rego::kRecordNonDeterministic;
  std::string& event = request.question.log_event;
  event = event_start_;
  if (!request.requested_by.empty())
    event += ",\"requested_by\":" + json_string(request.requested_by);
  event += ",\"timestamp\":\"" + timestamp(unix_ns()) + "\"}";
}

Result<RecordedDecision> DecisionRecorder::record(const DecisionRequest& request,
                                                  const pdp::Decisions& decisions,
                                                  const pdp::ActiveSetPtr& basis) {
  report_unmatched();
  RecordedDecision out;
  const size_t inputs = request.question.inputs.size();
  for (size_t i = 0; i < inputs; ++i) {
    Subject subject{.request = request, .index = i};
    if (!decisions)
      subject.error = &decisions.error();
    else if (const Result<pdp::Decision>& one = (*decisions)[i]; one)
      subject.decision = &*one;
    else
      subject.error = &one.error();
    const bool has_set = subject.decision && subject.decision->active;
    subject.set = sets_.of(has_set ? subject.decision->active : basis);
    const ByteView extras = subject.decision ? ByteView(subject.decision->extras)
                                             : rego::evaluation_extras(*subject.error);
    if (!extras.empty()) subject.extras = json_members(extras).value_or(std::vector<JsonMember>());
    bool is_strict = false;
    NOTP_ASSIGN(const auto written, record_one(subject, out.id, is_strict));
    if (i == 0) out.id = written ? written->decision_id : random_uuid();
    if (written && is_strict) out.awaited = std::max(out.awaited.value_or(0), written->position);
  }
  if (out.id.empty()) out.id = random_uuid();
  return out;
}

// nullopt: it is dropped, or the log gives it without a record.
Result<std::optional<spool::Written>> DecisionRecorder::record_one(const Subject& subject,
                                                                   std::string_view batch_id,
                                                                   bool& is_strict) {
  const PathSegments& path = subject.request.question.path;
  const RecordedLedger* const owner = subject.set->owner(path);
  std::string dropped_by;
  if (const PathSegments* const front = owner ? owner->dropped(path) : nullptr)
    dropped_by = recorded_path(*front);
  if (json_member(subject.log_rules(), "drop") == "true") dropped_by = kPolicyDrop;
  if (!dropped_by.empty()) {
    log_.drop(recorded_path(path), subject.outcome(), std::move(dropped_by));
    return std::nullopt;
  }
  is_strict = options_.durability == spool::Durability::kStrict;
  for (const RecordedLedger* const ledger : subject.set->concerned(path))
    is_strict = is_strict || ledger->is_strict(path);
  spool::Entry entry{
      .time_ns = unix_ns(),
      .active = subject.set->for_log,
      .durability = is_strict ? spool::Durability::kStrict : spool::Durability::kBatched};
  record::DecisionContent content = content_of(subject, owner);
  content.batch_decision_id = batch_id;
  content.times.handler_us = microseconds(SteadyClock::now() - subject.request.started);
  entry.content = std::move(content);
  return log_.append(std::move(entry));
}

record::DecisionContent DecisionRecorder::content_of(const Subject& subject,
                                                     const RecordedLedger* owner) {
  constexpr uint64_t kNsPerUs = 1'000;
  const DecisionRequest& request = subject.request;
  record::DecisionContent content{.api = static_cast<record::Api>(request.api),
                                  .path = recorded_path(request.question.path),
                                  .outcome = subject.outcome(),
                                  .trace_id = request.trace_id,
                                  .span_id = request.span_id,
                                  .pep = request.pep};
  if (owner) content.ledger = owner->name;
  if (subject.decision) {
    content.eval_time_ns = subject.decision->time_ns;
    content.times.evaluation_us = subject.decision->evaluation_ns / kNsPerUs;
  } else {
    content.error = failure_of(*subject.error);
  }
  content.rule_labels = masked_extra(subject.extra("rule_labels"));
  if ((request.question.flags & rego::kMetrics) != 0)
    content.times.all = masked_extra(subject.extra("metrics"));
  content.lane = lane_of(subject.extra("lane"));
  add_payload(subject, content);
  add_txn_tokens(subject, content);
  return content;
}

void DecisionRecorder::add_txn_tokens(const Subject& subject, record::DecisionContent& content) {
  const auto& txns = subject.request.txns;
  if (subject.index >= txns.size()) return;
  for (const SeenTxn& seen : txns[subject.index]) {
    if (content.txn_tokens.size() == record::kTxnTokensMax) break;
    record::TxnToken token{.pointer = seen.pointer, .hash = seen.token};
    if (seen.txn.size() <= limits::kRecordedTxnBytesMax) token.txn = seen.txn;
    if (!token.txn.empty() && !is_hidden(seen.pointer, content)) {
      token.sub = utf8_cut(seen.sub, limits::kRecordedTxnBytesMax);
      token.req_wl = utf8_cut(seen.req_wl, limits::kRecordedTxnBytesMax);
    }
    content.txn_tokens.push_back(std::move(token));
  }
}

// Adds what a mask may reach.
void DecisionRecorder::add_payload(const Subject& subject, record::DecisionContent& content) {
  const pdp::Question& question = subject.request.question;
  const pdp::InputText& sent = question.inputs[subject.index];
  const auto found = RecordedInput::find(question.form, sent);
  if (!found) {
    const auto all = sent ? std::optional<ByteView>(*sent) : std::nullopt;
    return withhold(subject, found.error(), all, content);
  }
  const bool is_undefined = subject.decision && !subject.decision->has_input;
  const std::optional<ByteView> input = is_undefined ? std::nullopt : found->text();
  auto added = add_masked(subject, input, content);
  if (added && bytes_of(content) > limits::kRecordBytesMax)
    added = fail(ErrorCode::kLimit,
                 fmt::format("the record has more than {} bytes", limits::kRecordBytesMax));
  if (!added) withhold(subject, added.error(), input, content);
}

// Collects the rules that apply to a subject.
Result<void> DecisionRecorder::find_rules(const Subject& subject, AppliedRules& applied) {
  size_t masks = 0;
  for (const RecordedLedger* const ledger : subject.set->concerned(subject.request.question.path)) {
    if (!ledger->masks) continue;
    if (!ledger->masks->rules) return std::unexpected(ledger->masks->rules.error());
    applied.ledgers.push_back(ledger->masks.get());
    applied.rules.push_back(&*ledger->masks->rules);
    masks += applied.rules.back()->masks().size();
  }
  if (masks > limits::kMasksAtOnceMax)
    return fail(ErrorCode::kInvalidModel,
                fmt::format("{} masks of several ledgers apply, at most {} can", masks,
                            limits::kMasksAtOnceMax));
  if (subject.set->tokens) applied.rules.push_back(subject.set->tokens.get());
  const auto log_rules = subject.log_rules();
  if (const auto error = json_member(log_rules, "error"))
    return fail(ErrorCode::kInvalidModel, fmt::format("data.system.log: {}", *error));
  const auto list = json_member(log_rules, "mask");
  if (!list && subject.set->has_policy_masks && !subject.were_rules_evaluated())
    return fail(ErrorCode::kUnavailable, "data.system.log.mask was not evaluated");
  if (!list) return {};
  if (!subject.set->has_policy_masks) subject.set->has_policy_masks = true;
  auto compiled = MaskRules::from_policy(*list);
  if (!compiled)
    return fail(ErrorCode::kInvalidModel,
                fmt::format("data.system.log.mask: {}", compiled.error().message));
  applied.of_policy = *std::move(compiled);
  applied.rules.push_back(&applied.of_policy);
  return {};
}

Result<void> DecisionRecorder::add_masked(const Subject& subject, std::optional<ByteView> input,
                                          record::DecisionContent& content) {
  const std::optional<ByteView> result = subject.result();
  if (!subject.set->source && (input || result))
    return fail(ErrorCode::kUnavailable, "no model is active: what it masks is unknown");
  AppliedRules applied;
  NOTP_TRY(find_rules(subject, applied));
  LogMask mask(applied.rules, random_);
  if (input) {
    NOTP_ASSIGN(content.input, mask.apply(model::MaskPart::kInput, *input));
  }
  if (result) {
    NOTP_ASSIGN(content.result, mask.apply(model::MaskPart::kResult, *result));
  }
  const auto cache = options_.has_nd_cache ? subject.extra("nd_builtin_cache") : std::nullopt;
  if (cache && cache->size() <= limits::kNdCacheBytesMax) {
    NOTP_ASSIGN(auto masked, mask.apply(model::MaskPart::kNdCache, *cache));
    content.nd_builtin_cache = std::move(masked).value_or(Bytes());
  } else if (cache || subject.extra("nd_builtin_cache_omitted")) {
    content.erased.emplace_back("/nd_builtin_cache");
  }
  for (size_t set = 0; set < applied.ledgers.size(); ++set)
    applied.ledgers[set]->count(mask.matched(set));
  MaskLists lists = mask.take_lists();
  std::ranges::move(lists.erased, std::back_inserter(content.erased));
  content.masked = std::move(lists.masked);
  content.commitments = std::move(lists.commitments);
  if (lists.unnamed > 0) content.masked.push_back(fmt::format("… and {} more", lists.unnamed));
  return {};
}

void DecisionRecorder::withhold(const Subject& subject, const Error& why,
                                std::optional<ByteView> input, record::DecisionContent& content) {
  content.input.reset();
  content.result.reset();
  content.nd_builtin_cache.clear();
  content.erased.clear();
  content.masked.clear();
  content.commitments.clear();
  const bool is_oversized = why.code == ErrorCode::kLimit;
  content.withheld = record::Withheld{.reason = is_oversized ? record::WithheldReason::kOversized
                                                             : record::WithheldReason::kMaskFailed,
                                      .message = masked_message(why.message),
                                      .input_hash = hash_of(input),
                                      .result_hash = hash_of(subject.result())};
  const bool is_callers_fault = subject.error && subject.error->code == ErrorCode::kMessage;
  if (!is_oversized && !is_callers_fault && subject.set->source) count_failure(subject, why);
}

void DecisionRecorder::count_failure(const Subject& subject, const Error& why) {
  failures_.Increment();
  const uint64_t since = failures_since_.fetch_add(1) + 1;
  const TimeMs now_ms = options_.clock().boot_ms;
  TimeMs logged_ms = failure_logged_ms_.load();
  if (logged_ms != 0 && now_ms - logged_ms < limits::kMaskFailureLogMs) return;
  if (!failure_logged_ms_.compare_exchange_strong(logged_ms, now_ms)) return;
  failures_since_.fetch_sub(since);
  log::warn(
      "mask_failed",
      {{"path", printable(recorded_path(subject.request.question.path), limits::kPathBytesMax)},
       {"message", masked_message(why.message)},
       {"count", since}});
}

void DecisionRecorder::report_unmatched() {
  const TimeMs now_ms = options_.clock().boot_ms;
  TimeMs due_ms = unmatched_due_ms_.load(std::memory_order_relaxed);
  if (now_ms < due_ms ||
      !unmatched_due_ms_.compare_exchange_strong(due_ms, now_ms + limits::kMaskUnmatchedMs))
    return;
  const std::vector<UnmatchedMask> unmatched = sets_.take_unmatched();
  unmatched_.Set(static_cast<double>(unmatched.size()));
  for (const UnmatchedMask& one : unmatched)
    log::warn("mask_unmatched",
              {{"ledger", one.ledger},
               {"pointer", printable(one.pointer, limits::kMaskRuleBytesMax)},
               {"message", "no decision of the last day had it: is it misspelled?"}});
}

}  // namespace notp::decision
