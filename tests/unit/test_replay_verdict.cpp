// What a replay says about a recorded decision.
#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "protocol/record/json_comparison.hpp"
#include "protocol/record/replay_verdict.hpp"

namespace notp::record {
namespace {

DecisionContent allowed(std::optional<Bytes> result = "true") {
  DecisionContent out;
  out.path = "shop/allow";
  out.ledger = "100000000000/shop";
  out.input = "{}";
  out.outcome = outcome_of(result);
  out.result = std::move(result);
  return out;
}

ActiveSet active(std::string engine = "embedded") {
  const Hash hash = sha256("a release");
  return {{{{{100'000'000'000, "shop"}, 1, 4, hash, hash}, "fresh"}},
          std::move(engine),
          "1.22.2",
          "",
          "{}"};
}

ReplayedResult gives(std::optional<Bytes> result) { return {std::move(result), {}, {}, "1.22.2"}; }

DecisionContent failed(std::string code) {
  DecisionContent out = allowed(std::nullopt);
  out.outcome = Outcome::kError;
  out.error = Failure{std::move(code), "why", {}};
  return out;
}

}  // namespace

TEST_CASE("JSON is compared by value, and numbers by their text") {
  CHECK(is_same_json("[1,2]", "[1,2]"));
  CHECK(is_same_json(R"({"a":1,"b":[{}]})", R"({"b": [ {} ], "a": 1})"));
  CHECK(is_same_json(R"("\u00e4\/\n")", "\"ä/\\n\""));
  CHECK(is_same_json(R"({"\u0061":1})", R"({"a":1})"));
  CHECK(is_same_json(R"({"a":2,"a":1})", R"({"a":1})"));
  CHECK_FALSE(is_same_json("1.0", "1"));
  CHECK_FALSE(is_same_json("12345678901234567890123", "12345678901234567890124"));
  CHECK_FALSE(is_same_json("[1,2]", "[2,1]"));
  CHECK_FALSE(is_same_json("[1]", "[1,1]"));
  CHECK_FALSE(is_same_json(R"({"a":1})", R"({"a":1,"b":null})"));
  CHECK_FALSE(is_same_json(R"({"a":1,"b":null})", R"({"a":1})"));
  CHECK_FALSE(is_same_json("null", ""));
  CHECK_FALSE(is_same_json("{", "{ "));
  CHECK_FALSE(is_same_json("\"\xff\"", "\"\xfe\""));
  CHECK_FALSE(is_same_json("{}", "[]"));
  // Deeper than a record can be.
  const auto deep = [](size_t levels, std::string_view inside) {
    return Bytes(levels, '[') + Bytes(inside) + Bytes(levels, ']');
  };
  CHECK(is_same_json(deep(limits::kJsonDepthMax, " 1"), deep(limits::kJsonDepthMax, "1")));
  CHECK_FALSE(
      is_same_json(deep(limits::kJsonDepthMax + 2, " 1"), deep(limits::kJsonDepthMax + 2, "1")));
  CHECK_FALSE(is_same_json(deep(200'000, "1"), deep(200'000, "2")));
}

TEST_CASE("what was taken out is not compared") {
  const auto same = [](ByteView recorded, ByteView replayed,
                       std::set<std::string, std::less<>> replaced,
                       std::set<std::string, std::less<>> removed) {
    return is_same_json(recorded, replayed, {std::move(replaced), std::move(removed)}, "/result");
  };
  CHECK(same(R"({"a":"***","b":1})", R"({"a":"x","b":1})", {"/result/a"}, {}));
  CHECK_FALSE(same(R"({"a":"***","b":1})", R"({"a":"x","b":2})", {"/result/a"}, {}));
  CHECK_FALSE(same(R"({"a":"***"})", R"({"a":"x"})", {"/input/a"}, {}));
  CHECK(same(R"({"b":1})", R"({"a":"x","b":1})", {}, {"/result/a"}));
  CHECK(same("[1,3]", "[1,2,3]", {}, {"/result/1"}));
  CHECK_FALSE(same("[1,3]", "[1,2,4]", {}, {"/result/1"}));
  CHECK_FALSE(same("[1,3,5]", "[1,2,3]", {}, {"/result/1"}));
  CHECK(same(R"([{"x":0},2])", R"([{"x":1},2])", {"/result/0/x"}, {}));
  CHECK(same(R"({"a/b~":{"\"":0}})", R"({"a/b~":{"\"":1}})", {"/result/a~1b~0/\""}, {}));
  // An upsert adds a member that was not there.
  CHECK(same(R"({"new":1})", "{}", {"/result/new"}, {}));
}

TEST_CASE("the same result is the same, whatever is masked and whoever decided") {
  DecisionContent decision = allowed();
  CHECK(verdict_of(decision, active(), gives("true")).replay == Replay::kSame);
  CHECK(verdict_of(decision, active(), gives("true")).outcome == Outcome::kAllow);
  CHECK(verdict_of(allowed(std::nullopt), active(), gives(std::nullopt)).replay == Replay::kSame);
  decision.masked = {"/input/token"};
  CHECK(verdict_of(decision, active(), gives("true")).replay == Replay::kSame);
  CHECK(verdict_of(allowed(), active("opa"), gives("true")).replay == Replay::kSame);
  ReplayedResult other = gives("true");
  other.engine_version = "1.23.0";
  CHECK(verdict_of(allowed(), active(), other).replay == Replay::kSame);
  CHECK(verdict_of(failed("eval_conflict_error"), active(),
                   {std::nullopt, "eval_conflict_error", {}, "1.22.2"})
            .replay == Replay::kSame);
}

TEST_CASE("another result differs") {
  for (const std::optional<Bytes>& result :
       {std::optional<Bytes>("false"), std::optional<Bytes>(), std::optional<Bytes>("1")}) {
    const ReplayVerdict verdict = verdict_of(allowed(), active(), gives(result));
    CHECK(verdict.replay == Replay::kDiffers);
    CHECK(verdict.outcome == outcome_of(result));
    CHECK(verdict.reason.empty());
  }
  const ReplayVerdict error =
      verdict_of(allowed(), active(), {std::nullopt, "eval_conflict_error", {}, "1.22.2"});
  CHECK(error.replay == Replay::kDiffers);
  CHECK(error.outcome == Outcome::kError);
  CHECK(verdict_of(failed("eval_conflict_error"), active(), gives("true")).replay ==
        Replay::kDiffers);
  CHECK(verdict_of(failed("eval_conflict_error"), active(),
                   {std::nullopt, "eval_type_error", {}, "1.22.2"})
            .replay == Replay::kDiffers);
  CHECK(verdict_of(failed("eval_conflict_error"), active(), gives(std::nullopt)).replay ==
        Replay::kDiffers);
}

TEST_CASE("masks of the result excuse only what they took out") {
  DecisionContent decision = allowed(R"({"allow":true,"name":"***"})");
  decision.masked = {"/result/name"};
  CHECK(verdict_of(decision, active(), gives(R"({"allow":true,"name":"ada"})")).replay ==
        Replay::kSame);
  CHECK(verdict_of(decision, active(), gives(R"({"allow":false,"name":"ada"})")).replay ==
        Replay::kDiffers);
  // All of it, so that only the outcome is left.
  decision = allowed("true");
  decision.result = std::nullopt;
  decision.erased = {"/result"};
  CHECK(verdict_of(decision, active(), gives("true")).replay == Replay::kSame);
  CHECK(verdict_of(decision, active(), gives("false")).replay == Replay::kDiffers);
  decision.erased.clear();
  decision.result = "\"…\"";
  decision.commitments = {{"/result", Bytes(kCommitmentSaltBytes, 's'), Bytes(32, 'h')}};
  CHECK(verdict_of(decision, active(), gives("true")).replay == Replay::kSame);
  CHECK(verdict_of(decision, active(), gives("false")).replay == Replay::kDiffers);
}

TEST_CASE("nothing can be said when the policy may have seen what the record lacks") {
  DecisionContent decision = allowed();
  decision.erased = {"/input/password"};
  decision.masked = {"/input/token", "/result/x", "/nd_builtin_cache/rand.intn", "… and 3 more"};
  const ReplayVerdict verdict = verdict_of(decision, active(), gives("false"));
  CHECK(verdict.replay == Replay::kCannot);
  CHECK(verdict.obstacle == ReplayObstacle::kMasked);
  CHECK(verdict.outcome == Outcome::kDeny);
  CHECK(verdict.reason ==
        "the result differs, and the record lacks /input/password, /input/token, "
        "/nd_builtin_cache/rand.intn and 1 more");
  DecisionContent committed = allowed();
  committed.commitments = {{"/input/iban", Bytes(kCommitmentSaltBytes, 's'), Bytes(32, 'h')}};
  CHECK(verdict_of(committed, active(), gives("false")).obstacle == ReplayObstacle::kMasked);
}

TEST_CASE("a difference that depends on nothing that was masked is one") {
  using Paths = std::vector<std::vector<std::string>>;
  DecisionContent decision = allowed();
  decision.erased = {"/input/password", "/result/x"};
  decision.masked = {"/input/a~1b/c~0~x", "/input/list/3/name", "/input"};
  decision.commitments = {{"/input/iban/", Bytes(kCommitmentSaltBytes, 's'), Bytes(32, 'h')}};
  CHECK(hidden_inputs(decision) ==
        Paths{{"password"}, {"a/b", "c~~x"}, {"list"}, {}, {"iban", ""}});
  ReplayedResult result = gives("false");
  CHECK(verdict_of(decision, active(), result).replay == Replay::kCannot);
  result.is_independent = true;
  CHECK(verdict_of(decision, active(), result).replay == Replay::kDiffers);
  CHECK(verdict_of(decision, active("opa"), result).obstacle == ReplayObstacle::kOtherEngine);
  for (const auto other : {"/nd_builtin_cache/rand.intn", "… and 7 more", "/inputs"}) {
    DecisionContent more = decision;
    more.masked.emplace_back(other);
    CHECK_FALSE(hidden_inputs(more));
  }
  CHECK(hidden_inputs(allowed()) == Paths{});
}

TEST_CASE("nothing can be said of a difference that another OPA, or its data, may explain") {
  const ReplayVerdict fed = verdict_of(allowed(), active("opa"), gives("false"));
  CHECK(fed.replay == Replay::kCannot);
  CHECK(fed.obstacle == ReplayObstacle::kOtherEngine);
  ReplayedResult other = gives("false");
  other.engine_version = "1.23.0";
  const ReplayVerdict version = verdict_of(allowed(), active(), other);
  CHECK(version.replay == Replay::kCannot);
  CHECK(version.obstacle == ReplayObstacle::kEngineVersion);
  CHECK(version.reason == "the result differs, and OPA 1.22.2 decided; this is OPA 1.23.0");
}

TEST_CASE("nothing can be said without a result that was needed") {
  const ReplayedResult needs{std::nullopt, {}, {"http.send"}, "1.22.2"};
  const ReplayVerdict verdict = verdict_of(allowed(std::nullopt), active(), needs);
  CHECK(verdict.replay == Replay::kCannot);
  CHECK(verdict.obstacle == ReplayObstacle::kNotRecorded);
  CHECK(verdict.outcome == Outcome::kNone);
  CHECK(verdict.reason == "the result of http.send was not recorded");
  DecisionContent masked = allowed();
  masked.erased = {"/nd_builtin_cache"};
  CHECK(verdict_of(masked, active(), needs).reason.ends_with("were masked, or too large"));
  CHECK(verdict_of(allowed(), active("opa"), needs).reason.contains("nd_builtin_cache"));
}

TEST_CASE("decisions that cannot be asked again, and why") {
  const ActiveSet set = active();
  CHECK_FALSE(obstacle_of(allowed(), &set));
  CHECK_FALSE(obstacle_of(failed("eval_conflict_error"), &set));
  CHECK_FALSE(obstacle_of(failed("eval_limit_error"), &set));
  const auto obstacle = [&](const DecisionContent& decision, const ActiveSet* active) {
    const auto found = obstacle_of(decision, active);
    return found ? found->obstacle : ReplayObstacle::kNone;
  };
  CHECK(obstacle(allowed(), nullptr) == ReplayObstacle::kNoRelease);
  const ActiveSet empty;
  CHECK(obstacle(allowed(), &empty) == ReplayObstacle::kNoRelease);
  for (const auto code : {"timeout", "quarantined", "overloaded", "eval_cancel_error", "limit"})
    CHECK(obstacle(failed(code), &set) == ReplayObstacle::kNotEvaluated);
  DecisionContent decision = allowed();
  decision.withheld = Withheld{WithheldReason::kOversized, "", {}, {}};
  CHECK(obstacle(decision, &set) == ReplayObstacle::kWithheld);
  decision = allowed();
  decision.query = "data.x = y";
  CHECK(obstacle(decision, &set) == ReplayObstacle::kAdHocQuery);
  CHECK(was_strict(failed("eval_builtin_error")));
  CHECK_FALSE(was_strict(failed("eval_conflict_error")));
  CHECK_FALSE(was_strict(allowed()));
}

TEST_CASE("the segments of a recorded path") {
  using Segments = std::vector<std::string>;
  CHECK(segments_of("").empty());
  CHECK(segments_of("a/b") == Segments{"a", "b"});
  CHECK(segments_of("a%2Fb/%25/%2f/%") == Segments{"a/b", "%", "%2f", "%"});
  CHECK(segments_of("a//b/") == Segments{"a", "", "b", ""});
}

TEST_CASE("every obstacle and every verdict has its own name") {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kReplayObstacles; ++i)
    CHECK(names.insert(obstacle_name(static_cast<ReplayObstacle>(i))).second);
  for (const Replay each : {Replay::kSame, Replay::kDiffers, Replay::kCannot})
    CHECK(names.insert(replay_name(each)).second);
  CHECK(obstacle_name(ReplayObstacle::kReplayFailed) == "replay_failed");
}

}  // namespace notp::record
