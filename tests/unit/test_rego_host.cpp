// The pure parts of the supervisor: frames, costs, suspicion, differences of snapshots, reports.
#include <doctest/doctest.h>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "common/rego/host/activation.hpp"
#include "common/rego/host/check_memory.hpp"
#include "common/rego/host/frames.hpp"
#include "common/rego/host/path_costs.hpp"
#include "common/rego/host/suspicion.hpp"

namespace notp::rego {
namespace {

Bytes bytes_of(const OutgoingFrame& frame) {
  return frame.head + (frame.tail ? *frame.tail : Bytes());
}

Bytes frame(uint32_t id, uint8_t operation, ByteView payload) {
  Bytes out;
  put_u32(out, static_cast<uint32_t>(payload.size() + 5));
  put_u32(out, id);
  out.push_back(static_cast<char>(operation));
  return out + Bytes(payload);
}

void feed(FrameReader& reader, ByteView bytes) {
  const auto space = reader.space(bytes.size());
  std::ranges::copy(bytes, space.begin());
  reader.filled(bytes.size());
}

TEST_CASE("frames are as the worker's page has them") {
  CHECK(to_hex(bytes_of(encode_cancel(7, 5))) ==
        "09000000"
        "07000000"
        "03"
        "05000000");
  CHECK(to_hex(bytes_of(encode_drop(1))) ==
        "05000000"
        "01000000"
        "06");
  const auto text = std::make_shared<const Bytes>("{}");
  const Hash hash = sha256("{}");
  CHECK(to_hex(bytes_of(encode_stage_document(0, hash, DocumentFormat::kYaml, text))) ==
        "2d000000"
        "00000000"
        "04"
        "02" +
            hash.hex() +
            "01"
            "02000000"
            "7b7d");
  CHECK(to_hex(bytes_of(encode_stage_module(0, hash, text))) ==
        "2c000000"
        "00000000"
        "04"
        "01" +
            hash.hex() +
            "02000000"
            "7b7d");
  const std::vector<std::string> path{"a", "bc"};
  const std::vector<InputText> one{Bytes("1")}, two{std::nullopt, Bytes("2")};
  const std::vector<Bytes> presented{"{1"};
  const auto single = encode_question(
      {3, 0x89, path, InputForm::kBodyYaml, ExplainMode::kDebug, "{}", presented}, one);
  REQUIRE(single);
  CHECK(to_hex(bytes_of(frame_of(5, *single))) ==
        "32000000"
        "05000000"
        "01"
        "0300000000000000"
        "89000000"
        "02"
        "04"
        "0200"
        "01000000"
        "61"
        "02000000"
        "6263"
        "02000000"
        "7b7d"
        "02000000"
        "7b31"
        "01"
        "01000000"
        "31");
  const auto batch = encode_question({0, 0, path}, two);
  REQUIRE(batch);
  CHECK(batch->operation == Operation::kEvalBatch);
  CHECK(to_hex(bytes_of(frame_of(6, *batch)))
            .ends_with("6263"
                       "00000000"
                       "02000000"
                       "00000000"
                       "00"
                       "00000000"
                       "00000000"
                       "01"
                       "01000000"
                       "32"));
}

TEST_CASE("a question that fits no frame is refused") {
  const std::vector<std::string> path{"a"};
  const std::vector<InputText> many(limits::kBatchInputsMax + 1);
  CHECK(encode_question({0, 0, path}, many).error().code == ErrorCode::kLimit);
  const std::vector<InputText> large(limits::kWorkerFrameBytesMax / (64 << 20) + 1,
                                     Bytes(64 << 20, 'x'));
  CHECK(encode_question({0, 0, path}, large).error().code == ErrorCode::kLimit);
}

TEST_CASE("a stream is cut into frames wherever it is broken") {
  const Bytes stream = frame(1, 0, "hello") + frame(2, 1, "") + frame(3, 9, Bytes(1'000, 'x'));
  for (size_t piece = 1; piece < 40; ++piece) {
    FrameReader reader;
    std::vector<uint32_t> ids;
    size_t bytes = 0;
    for (size_t at = 0; at < stream.size(); at += piece) {
      feed(reader, ByteView(stream).substr(at, piece));
      for (;;) {
        const auto next = reader.next();
        REQUIRE(next);
        if (!*next) break;
        ids.push_back((*next)->id);
        bytes += (*next)->payload.size();
      }
    }
    CHECK(ids == std::vector<uint32_t>{1, 2, 3});
    CHECK(bytes == 1'005);
  }
  for (const uint32_t length :
       {0U, 4U, static_cast<uint32_t>(limits::kWorkerFrameBytesMax), UINT32_MAX}) {
    FrameReader reader;
    Bytes head;
    put_u32(head, length);
    feed(reader, head);
    const auto next = reader.next();
    REQUIRE_FALSE(next);
    CHECK(next.error().code == ErrorCode::kFrame);
  }
}

Bytes evaluated() {
  Bytes body;
  put_u64(body, 4);
  body.push_back(1);
  body.push_back(2);
  put_str(body, "true");
  put_u64(body, 123);
  put_u64(body, 456);
  put_str(body, "{}");
  return body;
}

Bytes evaluated_batch() {
  Bytes body;
  put_u64(body, 4);
  put_u64(body, 123);
  put_u64(body, 456);
  put_u32(body, 2);
  body.push_back(0);
  body.push_back(1);
  for (int i = 0; i < 4; ++i) put_str(body, "");
  body.push_back(2);
  body.push_back(0);
  put_str(body, "wrong");
  put_str(body, "evaluation");
  put_str(body, "[1]");
  put_str(body, "{2}");
  return body;
}

TEST_CASE("answers decode, and nothing shorter, longer or larger does") {
  const auto answer = decode_evaluated(evaluated(), 4);
  REQUIRE(answer);
  CHECK(answer->snapshot == 4);
  CHECK(answer->time_ns == 123);
  CHECK(answer->evaluation_ns == 456);
  CHECK(answer->inputs.at(0).value == "true");
  CHECK_FALSE(answer->inputs.at(0).has_input);
  CHECK(answer->inputs.at(0).rule_exists);
  CHECK_FALSE(decode_evaluated(evaluated(), 3));
  const auto batch = decode_evaluated_batch(evaluated_batch(), 100);
  REQUIRE(batch);
  REQUIRE(batch->inputs.size() == 2);
  CHECK_FALSE(batch->inputs[0].value);
  CHECK(batch->inputs[0].has_input);
  CHECK_FALSE(batch->inputs[0].rule_exists);
  CHECK(batch->inputs[1].failure == Failure{"evaluation", "wrong", "[1]", "{2}"});
  CHECK(batch->inputs[1].extras.empty());
  Bytes failed(1, 1);
  put_str(failed, "rejected");
  put_str(failed, "[]");
  put_str(failed, "\xff");
  put_str(failed, "{}");
  const auto status = decode_status(failed);
  REQUIRE(status);
  CHECK(std::get<Failure>(*status) == Failure{"rejected", "[]", "", "{}"});
  for (size_t cut = 0; cut < evaluated().size(); ++cut)
    CHECK_FALSE(decode_evaluated(ByteView(evaluated()).substr(0, cut), 100));
  for (size_t cut = 0; cut < evaluated_batch().size(); ++cut)
    CHECK_FALSE(decode_evaluated_batch(evaluated_batch().substr(0, cut), 100));
  for (size_t cut = 0; cut < failed.size(); ++cut)
    CHECK_FALSE(decode_status(failed.substr(0, cut)));
  CHECK_FALSE(decode_evaluated(evaluated() + "x", 100));
  CHECK_FALSE(decode_status("\2"));
}

TEST_CASE("a path is slow by its 95th percentile, and quick by its mean") {
  PathCosts costs;
  constexpr uint64_t kMs = 1'000'000;
  CHECK_FALSE(costs.is_slow("a", 1));
  CHECK_FALSE(costs.is_quick("a", 1));
  for (int i = 0; i < 100; ++i) costs.evaluated("a", kMs / 10, 1);
  CHECK(costs.is_quick("a", 1));
  CHECK_FALSE(costs.is_quick("a", 1'000));
  // A batch is as slow as all its inputs together, and its path only as one.
  CHECK_FALSE(costs.is_slow("a", 100));
  CHECK(costs.is_slow("a", 1'000));
  CHECK(costs.is_heavy("a", 100));
  for (int i = 0; i < 64; ++i) costs.evaluated("a", 50 * kMs, 500);
  CHECK_FALSE(costs.is_slow("a", 1));
  CHECK_FALSE(costs.is_heavy("a", 1));
  for (int i = 0; i < 3; ++i) costs.evaluated("a", 30 * kMs, 1);
  CHECK_FALSE(costs.is_slow("a", 1));
  costs.evaluated("a", 30 * kMs, 1);
  CHECK(costs.is_slow("a", 1));
  for (int i = 0; i < 61; ++i) costs.evaluated("a", kMs / 10, 1);
  CHECK_FALSE(costs.is_slow("a", 1));
  CHECK_FALSE(costs.is_heavy("a", 1));
  for (int i = 0; i < 4; ++i) costs.evaluated("a", 6 * kMs, 1);
  CHECK(costs.is_heavy("a", 1));
  CHECK_FALSE(costs.is_slow("a", 1));
  costs.timed_out("a");
  CHECK(costs.is_slow("a", 1));
  // Questions by unknown callers under many names do not use more memory.
  for (size_t i = 0; i < 2 * limits::kPathsKnownMax; ++i)
    costs.evaluated(std::to_string(i), kMs, 1);
  CHECK_FALSE(costs.is_slow("a", 1));
}

TEST_CASE("a suspect that stops a worker again is quarantined, longer each time") {
  Suspicion suspicion;
  std::vector<QuarantineNotice> notices;
  const Offence offence{"a/b", "ledger", "mallory", "too much"};
  using enum Suspicion::Admission;
  CHECK(suspicion.stopped({offence, offence}, 0, notices) == std::vector<bool>{false, false});
  CHECK(suspicion.is_suspect("a/b", 0));
  CHECK(notices.empty());
  int64_t for_ms = limits::kQuarantineFirstMs;
  TimeMs now = 1'000;
  for (int i = 0; i < 9; ++i) {
    CHECK(suspicion.stopped({offence}, now, notices) == std::vector<bool>{true});
    REQUIRE(notices.size() == 1);
    CHECK(notices[0].for_ms == for_ms);
    CHECK(notices[0].caller == "mallory");
    notices.clear();
    CHECK(suspicion.admit("a/b", "mallory", now + for_ms - 1).admission == kRefused);
    CHECK(suspicion.admit("a/b", "alice", now).admission == kFree);
    now += for_ms;
    CHECK(suspicion.admit("a/b", "mallory", now).admission == kProbe);
    CHECK(suspicion.admit("a/b", "mallory", now).admission == kRefused);  // one at a time
    for_ms = std::min(2 * for_ms, limits::kQuarantineMaxMs);
  }
  suspicion.probe_ended("a/b", "mallory", false, notices);
  CHECK(suspicion.admit("a/b", "mallory", now).admission == kProbe);
  suspicion.probe_ended("a/b", "mallory", true, notices);
  REQUIRE(notices.size() == 1);
  CHECK(notices[0].for_ms == 0);
  CHECK(suspicion.admit("a/b", "mallory", now).admission == kFree);
}

TEST_CASE("after three callers a path is stopped for everyone, until a release or a probe") {
  Suspicion suspicion;
  std::vector<QuarantineNotice> notices;
  using enum Suspicion::Admission;
  suspicion.suspect("a/b", 0);
  for (const char* caller : {"x", "y", ""})
    suspicion.stopped({{"a/b", "ledger", caller, "too much"}}, 0, notices);
  REQUIRE(notices.size() == 4);
  CHECK(notices.back().caller.empty());
  CHECK(suspicion.admit("a/b", "z", 0).admission == kRefused);
  CHECK(suspicion.admit("a/c", "x", 0).admission == kFree);
  notices.clear();
  suspicion.release_changed("another", notices);
  CHECK(notices.empty());
  Suspicion probed = suspicion;
  suspicion.release_changed("ledger", notices);
  CHECK(notices.size() == 4);
  CHECK(suspicion.admit("a/b", "x", 0).admission == kFree);
  CHECK(suspicion.is_suspect("a/b", 0));
  CHECK(probed.admit("a/b", "z", limits::kQuarantineFirstMs).admission == kProbe);
  probed.probe_ended("a/b", "z", true, notices);
  CHECK(probed.quarantined() == 0);
}

TEST_CASE("a suspect is free after a hundred clean answers or ten minutes") {
  Suspicion suspicion;
  suspicion.suspect("a", 0);
  for (uint32_t i = 0; i + 1 < limits::kSuspectCleanAnswers; ++i) suspicion.answered("a");
  CHECK(suspicion.is_suspect("a", 0));
  suspicion.answered("a");
  CHECK_FALSE(suspicion.is_suspect("a", 0));
  suspicion.suspect("a", 0);
  CHECK(suspicion.is_suspect("a", limits::kSuspectMs - 1));
  CHECK_FALSE(suspicion.is_suspect("a", limits::kSuspectMs));
  for (size_t i = 0; i < 2 * limits::kSuspectsMax; ++i) suspicion.suspect(std::to_string(i), 0);
  CHECK(suspicion.suspects() == limits::kSuspectsMax);
}

Snapshot snapshot() {
  Snapshot made;
  made.modules["a.rego"] = {sha256("a"), 1, false, 0};
  made.modules["b.rego"] = {sha256("b"), 1, false, 1};
  made.documents["d.json"] = {{"d"}, sha256("d"), DocumentFormat::kJson, 10, 0};
  made.ledgers = {{"one", {"one"}, {}}, {"two", {"two"}, {}}};
  made.system = "{}";
  return made;
}

TEST_CASE("an activation says what differs, and needs no more content than that") {
  const Snapshot before = snapshot();
  const auto all = plan_activation(1, before, 0, nullptr, false);
  CHECK(all.needs.size() == 3);
  Snapshot after = before;
  after.system = "{\"x\":1}";
  const auto system_only = plan_activation(2, after, 1, &before, false);
  CHECK(system_only.needs.empty());
  CHECK(system_only.payload.size() < 100);
  CHECK(system_only.payload.ends_with(Bytes("{\"x\":1}\0", 8)));
  CHECK(plan_activation(2, after, 1, &before, true).payload.back() == 1);
  after.modules.erase("a.rego");
  after.modules["b.rego"].hash = sha256("c");
  after.documents["d.json"].hash = sha256("e");
  const auto changed = plan_activation(2, after, 1, &before, false);
  REQUIRE(changed.needs.size() == 2);
  CHECK(changed.needs[0].hash == sha256("c"));
  CHECK(changed.needs[1].before == sha256("d"));
  CHECK(changed.payload.find("a.rego") != Bytes::npos);
  const auto contents = ledger_contents(before), others = ledger_contents(after);
  CHECK(contents.at("one") != others.at("one"));
  Snapshot allowed = before;
  allowed.ledgers[1].allow = {"http.send"};
  CHECK(ledger_contents(allowed).at("one") == contents.at("one"));
  CHECK(ledger_contents(allowed).at("two") != contents.at("two"));
}

CheckRequest request_of(std::initializer_list<const char*> texts) {
  CheckRequest request;
  for (const char* text : texts) request.modules.push_back({text, sha256(text), 1, 1});
  return request;
}

TEST_CASE("what was good of a model is remembered for the next one like it, within a limit") {
  CheckMemory memory;
  const auto first = request_of({"a", "b", "c"});
  CHECK(memory.recall(first).good.empty());
  memory.learn(first, {}, {{{facts_key(first.modules[0]), "{\"x\":1}"}}, {"good a"}});
  memory.learn(request_of({"x", "y"}), {}, {{}, {"good x"}});
  const auto next = memory.recall(request_of({"a", "b", "d"}));
  CHECK(next.good == std::vector<std::string>{"good a"});
  REQUIRE(next.facts.size() == 1);
  CHECK(next.facts[0].second == "{\"x\":1}");
  const Bytes text = encode_check(first, next, {1, 2}, true);
  const auto encoded = parse_json(text);
  REQUIRE_MESSAGE(encoded, text);
  CHECK(encoded->at("facts").as_object().size() == 1);
  CHECK(encoded->at("tests").at("one_by_one").as_bool());
  for (int i = 0; i < 100; ++i) {
    const std::string name = std::to_string(i);
    memory.learn(request_of({name.c_str()}), {},
                 {{{facts_key(request_of({name.c_str()}).modules[0]), Bytes(1 << 20, 'f')}},
                  {Bytes(1 << 20, 'g')}});
  }
  CHECK(memory.recall(first).facts.empty());
  CHECK(memory.recall(first).good.empty());
}

TEST_CASE("a report is read whatever a worker sends") {
  const auto report = decode_report(
      R"({"findings":[{"path":"a.rego","row":3,"col":4,"code":"c","message":"m","warning":true},7],
          "packages":{"a.rego":["a"],"b":5},"tests":[{"package":"data.a","name":"test_x","outcome":
          "fail","message":"m","output":"o","trail":["case"]}],"tests_known":-4,"needs":
          {"builtins":["b","a"],"rego_v0":true},"facts":{"k":{"z":[1]}},"good":["g",1]})");
  REQUIRE_MESSAGE(report, report.error().message);
  REQUIRE(report->report.findings.size() == 1);
  CHECK(report->report.findings[0].warning);
  CHECK(to_string(report->report.findings[0]) == "a.rego:3:4: c: m");
  CHECK(report->report.tests.at(0).name == "test_x/case");
  CHECK(report->report.tests[0].message == "m\nprinted:\no");
  CHECK(report->report.tests_known == 0);
  CHECK(report->report.builtins == std::vector<std::string>{"a", "b"});
  CHECK(report->report.features == std::vector<std::string>{"rego_v0"});
  CHECK(report->learnt.facts.at(0).second == R"({"z":[1]})");
  CHECK(report->learnt.good == std::vector<std::string>{"g"});
  for (const char* text : {"", "[]", "7", "{", "{\"want\":"}) CHECK_FALSE(decode_report(text));
  CHECK(decode_report(R"({"want":["nonsense"]})")->want.empty());
}

TEST_CASE(
    "suspects and quarantines are bounded: the oldest suspect, the quarantine that ends first") {
  Suspicion suspicion;
  std::vector<QuarantineNotice> notices;
  for (size_t i = 0; i < 2 * limits::kSuspectsMax; ++i)
    suspicion.suspect(std::to_string(i), static_cast<TimeMs>(i));
  CHECK(suspicion.suspects() == limits::kSuspectsMax);
  CHECK_FALSE(suspicion.is_suspect("0", 1));
  CHECK(suspicion.is_suspect(std::to_string(2 * limits::kSuspectsMax - 1), 1));
  for (size_t i = 0; i < limits::kQuarantinesMax + 10; ++i) {
    const Offence offence{
        .path = "p" + std::to_string(i), .ledger = "l", .caller = "c", .reason = "r"};
    suspicion.stopped({offence}, static_cast<TimeMs>(i), notices);
    suspicion.stopped({offence}, static_cast<TimeMs>(i), notices);
  }
  CHECK(suspicion.quarantined() <= limits::kQuarantinesMax);
  CHECK(suspicion.admit("p0", "c", 5'000).admission == Suspicion::Admission::kFree);
}

}  // namespace
}  // namespace notp::rego
