// From a decision to its record.
#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "notp-client/decision/decision_limits.hpp"
#include "notp-client/decision/decision_recorder.hpp"
#include "notp-client/decision/log_mask.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/recording_log.hpp"

namespace notp::decision {
namespace {

using model::MaskOp;
using Pointers = std::vector<std::string>;

model::DecisionTerms shop_terms() {
  model::DecisionTerms terms;
  terms.strict = {"shop/desk/pay"};
  terms.drop = {"shop/desk/pay/ping", "shop/desk/health"};
  terms.mask = {{MaskOp::kRemove, "/input/password", {}},
                {MaskOp::kCommit, "/input/iban", {}},
                {MaskOp::kRemove, "/input/typo", {}}};
  return terms;
}

// Two ledgers: "shop" with terms, "bank" with one mask.
pdp::ActiveSetPtr shop_and_bank() {
  auto active = std::make_shared<pdp::ActiveSet>(
      *compose({{"shop", 1, {"shop/desk"}, {{"shop/desk/data.json", "{}"}}},
                {"bank", 2, {"bank"}, {{"bank/data.json", "{}"}}}})
           .active_set);
  for (auto& [ledger, release] : active->ledgers) release.ref.ledger = ledger;
  const uint64_t zone = 100'000'000'000;
  active->ledgers.at({zone, "shop"}).terms =
      std::make_shared<const model::DecisionTerms>(shop_terms());
  model::DecisionTerms bank;
  bank.mask = {{MaskOp::kRemove, "/input/pin", {}}, {MaskOp::kRemove, "/result/balance", {}}};
  active->ledgers.at({zone, "bank"}).terms = std::make_shared<const model::DecisionTerms>(bank);
  return active;
}

// A recorder, and one request at a time.
struct Recording {
  explicit Recording(RecorderOptions options = {.engine = "embedded"}) {
    options.clock = [this] { return Now{.wall_ms = now_ms, .boot_ms = now_ms}; };
    if (!options.engine_version) options.engine_version = [] { return "1.22.2"; };
    recorder.emplace(log, std::move(options), metrics);
  }

  DecisionRequest request(std::string_view path, std::vector<pdp::InputText> inputs) const {
    return {.api = DecisionApi::kData,
            .question = {.path = pdp::path_segments(path), .inputs = std::move(inputs)}};
  }
  pdp::Decision decision(std::optional<Bytes> value, Bytes extras = {}) const {
    return {.value = std::move(value),
            .active = active,
            .extras = std::move(extras),
            .time_ns = 1'800'000'000'000'000'001,
            .evaluation_ns = 42'999,
            .has_input = true};
  }
  Result<RecordedDecision> record(const DecisionRequest& asked, Result<pdp::Decision> one) {
    std::vector<Result<pdp::Decision>> decisions;
    decisions.push_back(std::move(one));
    return recorder->record(asked, std::move(decisions), active);
  }
  // Records an allowed decision, and returns its content.
  const record::DecisionContent& content(std::string_view path, Bytes input, Bytes extras = {}) {
    const auto recorded =
        record(request(path, {std::move(input)}), decision(Bytes("true"), std::move(extras)));
    REQUIRE(recorded);
    return log.last();
  }
  double failures() {
    for (const auto& family : metrics.Collect())
      if (family.name == "notp_agent_mask_failures_total") return family.metric[0].counter.value;
    return -1;
  }
  double unmatched() {
    for (const auto& family : metrics.Collect())
      if (family.name == "notp_agent_mask_unmatched") return family.metric[0].gauge.value;
    return -1;
  }

  TimeMs now_ms = 1'000'000;
  pdp::ActiveSetPtr active = shop_and_bank();
  RecordingLog log;
  prometheus::Registry metrics;
  std::optional<DecisionRecorder> recorder;
};

bool is_withheld(const record::DecisionContent& content, record::WithheldReason reason) {
  return content.withheld && content.withheld->reason == reason && !content.input &&
         !content.result && content.nd_builtin_cache.empty() && content.masked.empty() &&
         content.erased.empty() && content.commitments.empty();
}

}  // namespace

TEST_CASE("a record says which revision of the token lane its decision saw") {
  Recording recording;
  const auto lane_of = [&](const std::string& extras) {
    const DecisionRequest request = recording.request("shop/desk/open", {"1"});
    REQUIRE(recording.record(request, recording.decision("true", Bytes(extras))));
    return recording.log.last().lane;
  };
  CHECK(lane_of(R"({"lane":{"name":"sessions","revision":18446744073709551615,"state":"live"}})") ==
        record::Lane{"sessions", UINT64_MAX, "live"});
  CHECK(lane_of(R"({"lane":{"name":"sessions","revision":7,"state":"stale"}})") ==
        record::Lane{"sessions", 7, "stale"});
  for (const char* none : {R"({"metrics":{}})", R"({"lane":{"name":"","revision":0,"state":""}})",
                           R"({"lane":[1]})", R"({"lane":{"name":7}})"})
    CHECK_FALSE(lane_of(none));
}

TEST_CASE("a record says who asked what, and who decided it with what") {
  Recording recording;
  DecisionRequest request = recording.request("shop/desk/open", {R"({"user" : "ada"})"});
  request.api = DecisionApi::kAuthzen;
  request.pep = {.uid = 7, .gid = 8, .pid = 9};
  request.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  request.span_id = "00f067aa0ba902b7";
  request.started = SteadyClock::now();
  const auto recorded = recording.record(
      request,
      recording.decision(R"({"allow":true})", R"({"metrics":{"timer":1},"rule_labels":[{"x":"y"}],)"
                                              R"("nd_builtin_cache":{"time.now_ns":{"[]":1}}})"));
  REQUIRE(recorded);
  CHECK(recorded->id == "id-0");
  CHECK_FALSE(recorded->awaited);
  const record::DecisionContent& content = recording.log.last();
  CHECK(content.api == record::Api::kAuthzen);
  CHECK(content.path == "shop/desk/open");
  CHECK(content.ledger == "100000000000/shop");
  CHECK(content.outcome == record::Outcome::kAllow);
  CHECK(content.input == R"({"user":"ada"})");
  CHECK(content.result == R"({"allow":true})");
  CHECK(content.eval_time_ns == 1'800'000'000'000'000'001);
  CHECK(content.times.evaluation_us == 42);
  CHECK(content.times.all.empty());
  CHECK(content.nd_builtin_cache == R"({"time.now_ns":{"[]":1}})");
  CHECK(content.rule_labels == R"([{"x":"y"}])");
  CHECK(content.trace_id == request.trace_id);
  CHECK(content.span_id == request.span_id);
  CHECK(content.pep == request.pep);
  CHECK(content.decision_id.empty());
  CHECK(content.batch_decision_id.empty());
  CHECK_FALSE(content.error);
  const spool::Entry& entry = recording.log.entries[0];
  CHECK(entry.time_ns > 1'700'000'000'000'000'000);
  CHECK(entry.durability == spool::Durability::kBatched);
  REQUIRE(entry.active);
  CHECK(entry.active->engine == "embedded");
  CHECK(entry.active->engine_version == "1.22.2");
  REQUIRE(entry.active->releases.size() == 2);
  CHECK(entry.active->releases[1].ref.ledger.name == "shop");
  CHECK(entry.active->releases[1].freshness == "untracked");
  CHECK(entry.active->system.contains("100000000000"));
  // OPA's timers only when they were asked for.
  request.question.flags = rego::kMetrics;
  CHECK(recording.record(request, recording.decision("1", R"({"metrics":{"timer":1}})")));
  CHECK(recording.log.last().times.all == R"({"timer":1})");
}

TEST_CASE("what the embedded engine is asked for; other engines are asked as ever") {
  Recording recording({.labels = {{"id", "n-1"}, {"zone", "\"eu\""}}, .engine = "embedded"});
  DecisionRequest request = recording.request("a", {"1"});
  request.requested_by = "127.0.0.1:4711";
  recording.recorder->prepare(request);
  CHECK((request.question.flags & rego::kRecordNonDeterministic) != 0);
  CHECK((request.question.flags & rego::kLogRules) != 0);
  const auto event = parse_json(request.question.log_event);
  REQUIRE_MESSAGE(event.has_value(), request.question.log_event);
  CHECK(event->at("labels").at("zone").as_string() == "\"eu\"");
  CHECK(event->at("requested_by").as_string() == "127.0.0.1:4711");
  const std::string time(event->at("timestamp").as_string());
  CHECK(time.size() == std::string_view("2026-07-01T12:00:00.123456789Z").size());
  CHECK(request.started != SteadyClock::time_point());

  Recording opa({.engine = "opa"});
  DecisionRequest plain = opa.request("a", {"1"});
  opa.recorder->prepare(plain);
  CHECK(plain.question.flags == 0);
  CHECK(plain.question.log_event.empty());
  Recording bare({.has_nd_cache = false, .engine = "embedded"});
  DecisionRequest quiet = bare.request("a", {"1"});
  bare.recorder->prepare(quiet);
  CHECK(quiet.question.flags == rego::kLogRules);
  CHECK(bare.content("a", "1", R"({"nd_builtin_cache":{}})").nd_builtin_cache.empty());
}

TEST_CASE("paths keep their segments apart") {
  CHECK(recorded_path({"a", "b/c", "d%2F"}) == "a/b%2Fc/d%252F");
  CHECK(recorded_path({}).empty());
}

TEST_CASE("equal sets share one description, also when a PDP changes over") {
  Recording recording;
  const auto first = recording.active;
  auto copy = std::make_shared<pdp::ActiveSet>(*first);
  copy->as_of_ms = 7;
  const pdp::ActiveSetPtr second = copy;
  const pdp::ActiveSetPtr same = std::make_shared<pdp::ActiveSet>(*first);
  for (const auto& active : {first, second, first, same, second}) {
    recording.active = active;
    recording.content("shop/desk/open", "1");
  }
  const auto& entries = recording.log.entries;
  CHECK(entries[0].active == entries[2].active);
  CHECK(entries[0].active == entries[3].active);
  CHECK(entries[1].active == entries[4].active);
  CHECK(entries[0].active != entries[1].active);
  // A decision that does not say who decided it names nobody, but is masked by what is active.
  pdp::Decision unknown = recording.decision("true");
  unknown.active = nullptr;
  CHECK(recording.record(recording.request("shop/desk/x", {R"({"password":1})"}), unknown));
  CHECK(recording.log.last().input == "{}");
}

TEST_CASE("the masks of a manifest, of the policy and those that always hold apply together") {
  Recording recording;
  const auto& content = recording.content(
      "shop/desk/open",
      R"({"password":"p","iban":"DE02","authorization":"Basic x","e mail":"a@b","x":1})",
      R"({"log":{"mask":[{"op":"remove","path":"/input/e mail"},)"
      R"({"op":"upsert","path":"/result","value":"hidden"}]}})");
  CHECK(content.input == R"({"iban":null,"authorization":"","x":1})");
  CHECK(content.result == R"("hidden")");
  CHECK(content.outcome == record::Outcome::kAllow);
  CHECK(content.erased == Pointers{"/input/password", "/input/e mail"});
  CHECK(content.masked == Pointers{"/input/authorization", "/result"});
  REQUIRE(content.commitments.size() == 1);
  CHECK(content.commitments[0].hmac == hmac_sha256(content.commitments[0].salt, R"("DE02")"));
  CHECK_FALSE(content.withheld);
  CHECK(recording.failures() == 0);
}

TEST_CASE("a path gets the masks of the ledgers that it reaches; a wrong one those of all") {
  Recording recording;
  const Bytes input = R"({"password":1,"pin":2,"x":3})";
  CHECK(recording.content("shop/desk", input).input == R"({"pin":2,"x":3})");
  CHECK(recording.content("bank/x", input).input == R"({"password":1,"x":3})");
  CHECK(recording.content("shop", input).input == R"({"pin":2,"x":3})");
  CHECK(recording.log.last().ledger.empty());
  CHECK(recording.content("", input).input == R"({"x":3})");
  CHECK(recording.content("shopp/desk", input).input == R"({"x":3})");
  CHECK(recording.log.last().ledger.empty());
}

TEST_CASE("strict paths wait, dropped ones are counted, and the longer path applies") {
  Recording recording;
  const auto record = [&](std::string_view path, std::optional<Bytes> value) {
    auto recorded =
        recording.record(recording.request(path, {"1"}), recording.decision(std::move(value)));
    REQUIRE(recorded);
    return *recorded;
  };
  CHECK(record("shop/desk/pay", "true").awaited == 0);
  CHECK(recording.log.entries[0].durability == spool::Durability::kStrict);
  CHECK(record("shop/desk/pay/now", "true").awaited == 1);
  CHECK(record("shop/desk", "true").awaited == 2);  // it has the strict one in it
  CHECK(record("", "true").awaited == 3);
  CHECK_FALSE(record("shop/desk/open", "true").awaited);
  CHECK_FALSE(record("bank", "true").awaited);
  CHECK(recording.log.entries.size() == 6);

  const RecordedDecision dropped = record("shop/desk/pay/ping", "false");
  CHECK_FALSE(dropped.awaited);
  CHECK(dropped.id.size() == 36);
  CHECK(record("shop/desk/health/live", std::nullopt).id != dropped.id);
  CHECK(recording.log.entries.size() == 6);
  CHECK(recording.log.dropped == Pointers{"shop/desk/pay/ping deny shop/desk/pay/ping",
                                          "shop/desk/health/live undefined shop/desk/health"});
  // The policy may drop as well.
  CHECK(recording.record(recording.request("bank/x", {"1"}),
                         recording.decision("true", R"({"log":{"drop":true}})")));
  CHECK(recording.log.dropped.back() == "bank/x allow data.system.log.drop");

  Recording strict({.durability = spool::Durability::kStrict});
  CHECK(strict.record(strict.request("bank", {"1"}), strict.decision("true"))->awaited == 0);
}

TEST_CASE("failures and undefined results are recorded, too") {
  Recording recording;
  const auto request = recording.request("shop/desk/open", {R"({"password":1,"x":2})"});
  CHECK(recording.record(request, recording.decision(std::nullopt)));
  CHECK(recording.log.last().outcome == record::Outcome::kUndefined);
  CHECK_FALSE(recording.log.last().result);
  Error error{ErrorCode::kInvalidModel, "conflict of eyJhbGciOiJub25lIn0.e30.c2ln", {}};
  error.context.emplace_back(rego::kEvaluationErrorsKey, R"([ {"code":"c"} ])");
  error.context.emplace_back(
      rego::kEvaluationExtrasKey,
      R"({"nd_builtin_cache":{"a":{}},"log":{"mask":[{"op":"remove","path":"/input/x"}]}})");
  CHECK(recording.record(request, std::unexpected(error)));
  const record::DecisionContent& content = recording.log.last();
  CHECK(content.outcome == record::Outcome::kError);
  REQUIRE(content.error);
  // The evaluation's own code, and its message if it has one.
  CHECK(content.error->code == "c");
  CHECK(content.error->message == "conflict of eyJhbGciOiJub25lIn0.e30.");
  CHECK(content.error->errors == R"([{"code":"c"}])");
  CHECK(content.input == "{}");
  CHECK(content.nd_builtin_cache == R"({"a":{}})");
  CHECK(content.ledger == "100000000000/shop");
  CHECK(recording.log.entries.back().active == recording.log.entries.front().active);
}

TEST_CASE("inputs of one request share an id, which is that of the first") {
  Recording recording;
  std::vector<Result<pdp::Decision>> decisions;
  decisions.emplace_back(recording.decision("true"));
  decisions.emplace_back(fail(ErrorCode::kTimeout, "late"));
  decisions.emplace_back(recording.decision("false"));
  const auto request = recording.request("bank", {"1", "2", "3"});
  const auto recorded = recording.recorder->record(request, std::move(decisions), nullptr);
  REQUIRE(recorded);
  CHECK(recorded->id == "id-0");
  CHECK(recording.log.decision(0).batch_decision_id.empty());
  CHECK(recording.log.decision(1).batch_decision_id == "id-0");
  CHECK(recording.log.decision(2).batch_decision_id == "id-0");
  CHECK(recording.log.decision(2).input == "3");
  // An error of the whole request is one of each input.
  CHECK(
      recording.recorder->record(request, fail(ErrorCode::kOverloaded, "busy"), recording.active));
  CHECK(recording.log.entries.size() == 6);
  CHECK(recording.log.last().error->code == "overloaded");
  CHECK(recording.recorder->record(recording.request("bank", {}), pdp::Decisions(), nullptr)
            ->id.size() == 36);
  recording.log.is_unrecorded = true;
  CHECK(recording.recorder->record(request, fail(ErrorCode::kOverloaded, "busy"), nullptr)
            ->id.size() == 36);
}

TEST_CASE("a log that refuses refuses the decision") {
  Recording recording;
  recording.log.refusal = Error{ErrorCode::kAuditUnavailable, "the disk is full", {}};
  const auto recorded =
      recording.record(recording.request("bank", {"1"}), recording.decision("true"));
  REQUIRE_FALSE(recorded);
  CHECK(recorded.error().code == ErrorCode::kAuditUnavailable);
}

TEST_CASE("a mask that fails withholds, and is counted; what OPA would lose is kept") {
  Recording recording;
  const Bytes input = R"({"password": 1})";
  size_t failures = 0;
  for (const char* rules : {R"({"log":{"error":"eval_conflict_error"}})",
                            R"({"log":{"mask":[{"op":"replace","path":"/input/a"}]}})",
                            R"({"log":{"mask":["password"]}})", R"({"log":{"mask":{}}})"}) {
    CAPTURE(rules);
    const auto& content = recording.content("shop/desk/open", input, rules);
    CHECK(is_withheld(content, record::WithheldReason::kMaskFailed));
    CHECK(content.withheld->input_hash == sha256(input));
    CHECK(content.withheld->result_hash == sha256("true"));
    CHECK(content.withheld->message.contains("data.system.log"));
    CHECK(content.outcome == record::Outcome::kAllow);
    CHECK(content.path == "shop/desk/open");
    CHECK(recording.failures() == ++failures);
  }
  // Decided, but not by what is recorded: Go's reader is more lenient.
  CHECK(is_withheld(recording.content("bank", "\"\xff\""), record::WithheldReason::kMaskFailed));
  const std::string deep(limits::kJsonDepthMax + 1, '[');
  CHECK(is_withheld(recording.content("bank", deep + std::string(deep.size(), ']')),
                    record::WithheldReason::kMaskFailed));
  CHECK(recording.failures() == failures + 2);
}

TEST_CASE("a path of no ledger meets the masks of all, as far as that is bearable") {
  Recording recording;
  auto active = std::make_shared<pdp::ActiveSet>(*recording.active);
  model::DecisionTerms terms;
  terms.mask.assign(limits::kMaskRulesMax, {MaskOp::kRemove, "/input/x", {}});
  for (size_t i = 0; i <= limits::kMasksAtOnceMax / limits::kMaskRulesMax; ++i) {
    pdp::ActiveRelease release = active->ledgers.begin()->second;
    release.data_roots = {fmt::format("many/m{}", i)};
    release.terms = std::make_shared<const model::DecisionTerms>(terms);
    active->ledgers[{100'000'000'001, fmt::format("m{}", i)}] = release;
  }
  recording.active = active;
  CHECK(recording.content("many/m1/a", R"({"x":1})").input == "{}");
  CHECK(is_withheld(recording.content("typo", R"({"x":1})"), record::WithheldReason::kMaskFailed));
}

TEST_CASE("input that is not JSON is the caller's fault") {
  Recording recording;
  DecisionRequest request = recording.request("bank", {"{\"input\": pin 4711}"});
  request.question.form = pdp::InputForm::kBody;
  CHECK(recording.record(request, fail(ErrorCode::kMessage, "body contains malformed input")));
  CHECK(is_withheld(recording.log.last(), record::WithheldReason::kMaskFailed));
  CHECK(recording.log.last().withheld->input_hash == sha256("{\"input\": pin 4711}"));
  CHECK_FALSE(recording.log.last().withheld->message.contains("4711"));
  CHECK(recording.failures() == 0);
}

TEST_CASE("rules that were never evaluated withhold, once a policy has shown that it has some") {
  Recording recording;
  const auto request = recording.request("bank", {R"({"x":1})"});
  const auto late = [&] { return recording.record(request, fail(ErrorCode::kTimeout, "late")); };
  CHECK(late());
  CHECK(recording.log.last().input == R"({"x":1})");
  recording.content("bank", R"({"x":1})",
                    R"({"log":{"mask":[{"op":"remove","path":"/input/x"}]}})");
  CHECK(late());
  CHECK(is_withheld(recording.log.last(), record::WithheldReason::kMaskFailed));
  // A decision that no engine made, because a root is withheld.
  pdp::Decision here{.active = recording.active, .has_input = true};
  CHECK(recording.record(request, here));
  CHECK(is_withheld(recording.log.last(), record::WithheldReason::kMaskFailed));
  CHECK(recording.content("bank", R"({"x":1})").input == R"({"x":1})");
}

TEST_CASE("before a model is active nothing that it might mask is recorded") {
  Recording recording;
  recording.active = nullptr;
  CHECK(recording.record(recording.request("bank", {R"({"pin":1})"}),
                         fail(ErrorCode::kUnavailable, "no model")));
  CHECK(is_withheld(recording.log.last(), record::WithheldReason::kMaskFailed));
  CHECK(recording.log.entries[0].active == nullptr);
  CHECK(recording.failures() == 0);
  CHECK(recording.record(recording.request("bank", {pdp::InputText()}),
                         fail(ErrorCode::kUnavailable, "no model")));
  CHECK_FALSE(recording.log.last().withheld);
}

TEST_CASE("what is too large is not recorded, and the record says so") {
  Recording recording;
  const Bytes large = "\"" + std::string(limits::kRecordBytesMax, 'x') + "\"";
  CHECK(is_withheld(recording.content("bank", large), record::WithheldReason::kOversized));
  const Bytes half = "\"" + std::string(limits::kRecordBytesMax / 2, 'x') + "\"";
  CHECK(recording.record(recording.request("bank", {half}), recording.decision(half)));
  CHECK(is_withheld(recording.log.last(), record::WithheldReason::kOversized));
  CHECK(recording.log.last().withheld->input_hash == sha256(half));
  CHECK(recording.failures() == 0);
  // A large cache alone is left out.
  const Bytes cache =
      R"({"nd_builtin_cache":{"a":{"b":")" + std::string(limits::kNdCacheBytesMax, 'x') + "\"}}}";
  for (const Bytes& extras : {cache, Bytes(R"({"nd_builtin_cache_omitted":70000})")}) {
    const auto& content = recording.content("bank", "1", extras);
    CHECK(content.input == "1");
    CHECK(content.nd_builtin_cache.empty());
    CHECK(content.erased == Pointers{"/nd_builtin_cache"});
  }
}

TEST_CASE("the input is undefined where the engine found none") {
  Recording recording;
  DecisionRequest request = recording.request("bank", {R"({"Input":{"a":1}} trailing)"});
  request.question.form = pdp::InputForm::kBody;
  CHECK(recording.record(request, recording.decision("true")));
  CHECK(recording.log.last().input == R"({"a":1})");
  pdp::Decision bare = recording.decision("true");
  bare.has_input = false;
  CHECK(recording.record(request, bare));
  CHECK_FALSE(recording.log.last().input);
}

TEST_CASE("a mask that matched nothing for a whole day is reported") {
  Recording recording;
  recording.content("shop/desk/open", R"({"password":1})");
  recording.content("bank/x", R"({"pin":1})");
  CHECK(recording.unmatched() == 0);
  recording.now_ms += limits::kMaskUnmatchedMs;
  recording.content("bank/x", "1");  // reports: iban and typo, balance
  CHECK(recording.unmatched() == 3);
  // A ledger without decisions says nothing about its masks.
  recording.now_ms += limits::kMaskUnmatchedMs;
  recording.content("bank/x", R"({"pin":1})");
  CHECK(recording.unmatched() == 2);
}

TEST_CASE("a record names transaction tokens, and no more of them than masks leave") {
  Recording recording;
  const auto tokens_of = [&](std::string_view path, Bytes input, const std::string& pointer) {
    DecisionRequest request = recording.request(path, {std::move(input)});
    request.txns = {{{pointer, sha256("t"), "txn-1", "ana", "spiffe://a.b/shop"},
                     {"/input/other", sha256("u"), {}, {}, {}}}};
    REQUIRE(recording.record(request, recording.decision("true")));
    return recording.log.last().txn_tokens;
  };
  const std::string jws = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
  const auto shown =
      tokens_of("shop/desk/open", R"({"txn_token":")" + jws + "\"}", "/input/txn_token");
  REQUIRE(shown.size() == 2);
  CHECK(shown[0] ==
        record::TxnToken{"/input/txn_token", sha256("t"), "txn-1", "ana", "spiffe://a.b/shop"});
  CHECK(shown[1] == record::TxnToken{"/input/other", sha256("u"), {}, {}, {}});
  const Bytes& input = *recording.log.last().input;
  CHECK_MESSAGE(!input.contains("c2lnbmF0dXJl"), input);
  // The publisher removes or commits to the token, or what is around it.
  for (const auto& [text, pointer] : {std::pair(R"({"password":"x"})", "/input/password"),
                                      {R"({"iban":"x"})", "/input/iban"},
                                      {R"({"password":{"token":"x"}})", "/input/password/token"}}) {
    const auto hidden = tokens_of("shop/desk/open", text, pointer);
    REQUIRE(hidden.size() == 2);
    CHECK(hidden[0] == record::TxnToken{pointer, sha256("t"), "txn-1", {}, {}});
  }
  CHECK(tokens_of("shop/desk/open", R"({"passwords":"x"})", "/input/passwords")[0].sub == "ana");
  // What is withheld says nothing, either.
  const auto withheld = tokens_of("shop/desk/open", "{", "/input/txn_token");
  REQUIRE(recording.log.last().withheld);
  CHECK(withheld[0].sub.empty());
}

}  // namespace notp::decision
