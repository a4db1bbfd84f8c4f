// The one encoding of records, and what results say.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/limits.hpp"
#include "protocol/record/record.hpp"
#include "schemas/record.pb.h"
#include "tests/support/decision_records.hpp"

using namespace notp;
using namespace notp::record;

namespace {

// A decision with every field.
DecisionContent full_decision() {
  DecisionContent out = samples::decision(1, 1);
  out.api = Api::kAuthzen;
  out.query = "data.a.b";
  out.outcome = Outcome::kError;
  out.error = Failure{"internal_error", "it failed", R"([{"code":"x"}])"};
  out.nd_builtin_cache = R"({"time.now_ns":{"[]":1}})";
  out.erased = {"/input/a", ""};
  out.masked = {"/result/b"};
  out.commitments = {{"/input/c", Bytes(16, 's'), Bytes(32, 'h')},
                     {"", Bytes(16, 0), Bytes(32, 0)}};
  out.withheld = Withheld{WithheldReason::kOversized, "2097153 bytes", sha256("i"), sha256("r")};
  out.mapped_result = "1";
  out.intermediate_results = "2";
  out.rule_labels = "3";
  out.custom = R"({"x":1.50})";
  out.decision_id = "4ca636c1-55e4-417a-b1d8-4aceb67960d1";
  out.batch_decision_id = "batch";
  out.trace_id = "0af7651916cd43dd8448eb211c80319c";
  out.span_id = "b7ad6b7169203331";
  out.req_id = UINT64_MAX;
  out.request_context = R"({"http":{}})";
  out.requested_by = "127.0.0.1:9";
  out.pep = {0, 1, UINT32_MAX, "spiffe://a.b/pep", "token", "192.0.2.1"};
  out.times = {1, 2, R"({"timer_rego_query_eval_ns":1})"};
  out.lane = Lane{"sessions", UINT64_MAX, "lagging"};
  out.txn_tokens = {{"/input/txn_token", sha256("t"), "txn", "sub", "req_wl"},
                    {"/input/x", sha256("u"), {}, {}, {}}};
  return out;
}

std::vector<Content> all_contents() {
  return {full_decision(),
          DecisionContent{},
          samples::active_set(),
          ActiveSet{},
          RunStart{"notp-client 0.1.0", -5, "11111111-2222-4333-8444-555555555555"},
          RunStart{},
          RunEnd{"SIGTERM"},
          RunEnd{},
          Gap{GapReason::kSource, UINT64_MAX, true, "opa-1", "died"},
          Gap{},
          Dropped{{{"a", Outcome::kAllow, "", 1},
                   {"a", Outcome::kAllow, "health", 7},
                   {"a", Outcome::kDeny, "", 0},
                   {"b", Outcome::kNone, "", UINT64_MAX}}},
          Dropped{}};
}

// The same decision through the generated classes.
Bytes by_protobuf(const Record& record) {
  const auto& c = std::get<DecisionContent>(record.content);
  v1::Record m;
  m.set_kind(v1::DECISION);
  m.set_position(record.place.position);
  m.set_run(record.place.run);
  m.set_active(record.place.active);
  m.set_time_ns(record.time_ns);
  m.set_eval_time_ns(c.eval_time_ns);
  m.set_api(static_cast<v1::Api>(c.api));
  m.set_path(c.path);
  m.set_query(c.query);
  m.set_ledger(c.ledger);
  m.set_outcome(static_cast<v1::Outcome>(c.outcome));
  if (c.input) m.set_input(*c.input);
  if (c.result) m.set_result(*c.result);
  if (c.error) {
    m.mutable_error()->set_code(c.error->code);
    m.mutable_error()->set_message(c.error->message);
    m.mutable_error()->set_errors(c.error->errors);
  }
  m.set_nd_builtin_cache(c.nd_builtin_cache);
  for (const auto& pointer : c.erased) m.add_erased(pointer);
  for (const auto& pointer : c.masked) m.add_masked(pointer);
  for (const Commitment& commitment : c.commitments) {
    v1::Commitment& out = *m.add_commitments();
    out.set_pointer(commitment.pointer);
    out.set_salt(commitment.salt);
    out.set_hmac(commitment.hmac);
  }
  if (c.withheld) {
    m.mutable_withheld()->set_reason(static_cast<v1::Withheld::Reason>(c.withheld->reason));
    m.mutable_withheld()->set_message(c.withheld->message);
    m.mutable_withheld()->set_input_sha256(Bytes(c.withheld->input_hash->view()));
    m.mutable_withheld()->set_result_sha256(Bytes(c.withheld->result_hash->view()));
  }
  m.set_mapped_result(c.mapped_result);
  m.set_intermediate_results(c.intermediate_results);
  m.set_rule_labels(c.rule_labels);
  m.set_custom(c.custom);
  m.set_decision_id(c.decision_id);
  m.set_batch_decision_id(c.batch_decision_id);
  m.set_trace_id(c.trace_id);
  m.set_span_id(c.span_id);
  m.set_req_id(c.req_id);
  m.set_request_context(c.request_context);
  m.set_requested_by(c.requested_by);
  v1::Pep& pep = *m.mutable_pep();
  if (c.pep.uid) pep.set_uid(*c.pep.uid);
  if (c.pep.gid) pep.set_gid(*c.pep.gid);
  if (c.pep.pid) pep.set_pid(*c.pep.pid);
  pep.set_identity(c.pep.identity);
  pep.set_token(c.pep.token);
  pep.set_address(c.pep.address);
  m.mutable_times()->set_evaluation_us(c.times.evaluation_us);
  m.mutable_times()->set_handler_us(c.times.handler_us);
  m.mutable_times()->set_all(c.times.all);
  m.mutable_lane()->set_name(c.lane->name);
  m.mutable_lane()->set_revision(c.lane->revision);
  m.mutable_lane()->set_state(c.lane->state);
  for (const TxnToken& token : c.txn_tokens) {
    v1::TxnToken& added = *m.add_txn_tokens();
    added.set_pointer(token.pointer);
    added.set_sha256(std::string(token.hash.view()));
    added.set_txn(token.txn);
    added.set_sub(token.sub);
    added.set_req_wl(token.req_wl);
  }
  return m.SerializeAsString();
}

// Whether decode() refuses the bytes with kMessage.
bool is_refused(ByteView bytes) {
  const auto record = decode(bytes);
  return !record && record.error().code == ErrorCode::kMessage;
}

bool is_refused(const Content& content) { return is_refused(encode({{300, 1, 0}, 1, content})); }

// kind = 3, position = 7, run = 1, time_ns = 1, run_end
const Bytes kRunEnd("\x08\x03\x10\x07\x18\x01\x28\x01\x9a\x02\x00", 11);

}  // namespace

TEST_CASE("every kind of record comes back from its encoding") {
  Position position = 100;
  for (const Content& content : all_contents())
    for (const Place& place : {Place{position, 1, 0}, Place{position, 4095, position - 1},
                               Place{limits::kPositionMax, 1, limits::kPositionMax}}) {
      const Record record{place, 1'767'225'600'123'456'789, content};
      const Bytes bytes = encode(record);
      const auto decoded = decode(bytes);
      REQUIRE_MESSAGE(decoded, decoded.error().message);
      CHECK(*decoded == record);
      Bytes parts;
      append_place(parts, record.kind(), record.place);
      CHECK(parts.size() <= kPlaceBytesMax);
      CHECK(parts + encode_content(record.time_ns, record.content) == bytes);
      ++position;
    }
}

TEST_CASE("the encoding is the one that Protobuf writes") {
  const Record record{{1'000'000, 12, 5}, 1'767'225'600'123'456'789, full_decision()};
  CHECK(to_hex(encode(record)) == to_hex(by_protobuf(record)));
  for (const Content& content : all_contents()) {
    v1::Record m;
    const Bytes bytes = encode({{9, 1, 8}, -1, content});
    REQUIRE(m.ParseFromString(bytes));
    CHECK(to_hex(m.SerializeAsString()) == to_hex(bytes));
  }
}

TEST_CASE("the records of a busy node have the size that was measured with") {
  constexpr uint64_t kRecords = 2'000;
  size_t bytes = 0, allowed = 0;
  for (uint64_t i = 0; i < kRecords; ++i) {
    const Bytes record = samples::decision_record(1, i, i + 2);
    const auto decoded = decode(record);
    REQUIRE_MESSAGE(decoded, decoded.error().message);
    CHECK(std::get<DecisionContent>(decoded->content) == samples::decision(1, i));
    const auto start = decode_start(record);
    REQUIRE(start);
    CHECK(start->place == decoded->place);
    bytes += record.size();
    allowed += std::get<DecisionContent>(decoded->content).outcome == Outcome::kAllow ? 1 : 0;
  }
  CHECK(bytes / kRecords > 700);
  CHECK(bytes / kRecords < 900);
  CHECK(allowed > kRecords / 2);
  CHECK(allowed < kRecords);
  CHECK(samples::decision(1, 3) != samples::decision(2, 3));
}

TEST_CASE("a record in another encoding than its own is refused") {
  REQUIRE(decode(kRunEnd));
  const auto with = [](size_t at, size_t erased, Bytes inserted) {
    return Bytes(kRunEnd).replace(at, erased, inserted);
  };
  CHECK(is_refused(with(6, 0, Bytes("\x20\x00", 2))));  // a default: active = 0
  CHECK(is_refused(with(8, 0, Bytes("\x30\x00", 2))));  // a default: eval_time_ns = 0
  CHECK(is_refused(with(8, 0, Bytes("\x42\x00", 2))));  // a default: path = ""
  CHECK(is_refused(with(2, 4, "\x18\x01\x10\x07")));    // run before position
  CHECK(is_refused(kRunEnd.substr(0, 6) + kRunEnd.substr(8) + "\x28\x01"));  // time_ns last
  CHECK(is_refused(kRunEnd + "\xb0\x02\x01"));                               // an unknown field, 38
  CHECK(is_refused(with(8, 3, "\x9a\x02\x02\x10\x01")));  // an unknown field in run_end
  CHECK(is_refused(with(3, 1, Bytes("\x87\x00", 2))));    // position in two bytes
  CHECK(is_refused(with(7, 1, Bytes("\x81\x00", 2))));    // time_ns in two bytes
  CHECK(is_refused(with(8, 0, "\x28\x01")));              // time_ns twice
  CHECK(is_refused(with(4, 0, "\x10\x07")));              // position twice
  CHECK(is_refused(kRunEnd + kRunEnd.substr(8)));         // run_end twice
  CHECK(is_refused(kRunEnd + "\x10\x07"));                // position again, at the end
  CHECK(is_refused(with(8, 0,
                        "\x42\x01"
                        "a")));                             // a decision's field
  CHECK(is_refused(with(8, 0, Bytes("\x92\x02\x00", 3))));  // run_start in a run_end
  CHECK(is_refused(kRunEnd.substr(0, 8)));                  // no run_end
  CHECK(is_refused(with(9, 1, Bytes("\x82\x00", 2))));      // a tag in three bytes
  CHECK(is_refused(with(0, 2, "\x08\x06")));                // kind 6
  CHECK(is_refused(with(5, 1, "\x80\x20")));                // run 4096
  CHECK(is_refused(with(4, 2, "")));                        // no run
  CHECK(is_refused(with(6, 0, "\x20\x08")));                // active beyond position
  CHECK(is_refused(""));
  for (size_t size = 0; size < kRunEnd.size(); ++size) CHECK(is_refused(kRunEnd.substr(0, size)));
}

TEST_CASE("a record whose values break a rule is refused") {
  DecisionContent decision = full_decision();
  const auto refused_with = [&](auto change) {
    DecisionContent changed = decision;
    change(changed);
    return is_refused(Content(changed));
  };
  CHECK_FALSE(refused_with([](DecisionContent&) {}));
  CHECK(refused_with([](DecisionContent& c) { c.api = static_cast<Api>(6); }));
  CHECK(refused_with([](DecisionContent& c) { c.outcome = static_cast<Outcome>(6); }));
  CHECK(refused_with([](DecisionContent& c) { c.commitments[0].salt.pop_back(); }));
  CHECK(refused_with([](DecisionContent& c) { c.commitments[0].hmac += "x"; }));
  CHECK(refused_with(
      [](DecisionContent& c) { c.withheld->reason = static_cast<WithheldReason>(0); }));
  CHECK(refused_with(
      [](DecisionContent& c) { c.masked.assign(limits::kMaskedPathsMax + 1, "/input/x"); }));
  CHECK_FALSE(refused_with(
      [](DecisionContent& c) { c.erased.assign(limits::kMaskedPathsMax, "/input/x"); }));
  CHECK(refused_with([](DecisionContent& c) { c.input = Bytes(limits::kRecordBytesMax, '1'); }));

  ActiveSet active = samples::active_set();
  std::swap(active.releases[0], active.releases[1]);
  CHECK(is_refused(Content(active)));
  active = samples::active_set();
  active.releases[1].ref.ledger = active.releases[0].ref.ledger;
  CHECK(is_refused(Content(active)));
  active = samples::active_set();
  active.releases[0].ref.ledger.zone = 1;
  CHECK(is_refused(Content(active)));
  CHECK(is_refused(Content(Gap{static_cast<GapReason>(6), 1, false, "", ""})));
  const DroppedCount count{"a", Outcome::kAllow, "", 1};
  CHECK(is_refused(Content(Dropped{{count, count}})));
  CHECK(is_refused(Content(Dropped{{{"b", Outcome::kAllow, "", 1}, count}})));
}

TEST_CASE("whatever bit of a record changes, it is refused or is another record's one encoding") {
  for (const Content& content : all_contents()) {
    const Bytes bytes = encode({{300, 2, 1}, 5, content});
    size_t read = 0;
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      Bytes changed = bytes;
      changed[bit / 8] ^= static_cast<char>(1 << bit % 8);
      const auto decoded = decode(changed);
      if (!decoded) continue;
      ++read;
      CHECK(encode(*decoded) == changed);
    }
    CHECK(read < bytes.size() * 8);
  }
}

TEST_CASE("a text that is not UTF-8 is recorded so that it can be read") {
  DecisionContent content;
  content.path = "caf\xe9";
  content.erased = {"/input/\xff"};
  content.requested_by = "größe";
  const auto decoded = decode(encode({{1, 1, 0}, 1, content}));
  REQUIRE(decoded);
  const auto& read = std::get<DecisionContent>(decoded->content);
  CHECK(read.path == "caf\\xe9");
  CHECK(read.erased == std::vector<std::string>{"/input/\\xff"});
  CHECK(read.requested_by == "größe");
}

TEST_CASE("the outcome of a result") {
  CHECK(outcome_of(std::nullopt) == Outcome::kUndefined);
  const std::pair<std::string, Outcome> results[] = {
      {"true", Outcome::kAllow},
      {"false", Outcome::kDeny},
      {R"({"allow":true})", Outcome::kAllow},
      {R"({"allow":false,"allowed":true})", Outcome::kDeny},
      {R"({"decision":true,"allowed":false})", Outcome::kDeny},
      {R"({"allow":"yes","decision":true})", Outcome::kAllow},
      {R"({"context":{"allow":true},"decision":false})", Outcome::kDeny},
      {R"({"allow":{"allow":true}})", Outcome::kOther},
      {R"({"x":"\"allow\":true"})", Outcome::kOther},
      {R"({"allow":1})", Outcome::kOther},
      {"{}", Outcome::kOther},
      {"[true]", Outcome::kOther},
      {"null", Outcome::kOther},
      {"\"true\"", Outcome::kOther},
      {"", Outcome::kOther},
      {"{", Outcome::kOther},
      {R"({"allow":true)", Outcome::kOther},
      {R"({"allow":true}})", Outcome::kOther},
      {R"({"allow":true,})", Outcome::kOther},
      {"{\"allow\":true,\"x\":\"\xff\"}", Outcome::kOther},
      {"{" + std::string(1'000'000, '['), Outcome::kOther},
      {R"({"a":)" + std::string(500'000, '[') + std::string(500'000, ']') + R"(,"allow":true})",
       Outcome::kAllow}};
  for (const auto& [result, outcome] : results) {
    CAPTURE(result.substr(0, 80));
    CHECK(outcome_of(result) == outcome);
  }
}

TEST_CASE("the words of outcomes and gaps") {
  for (size_t i = 1; i < kOutcomes; ++i) {
    const auto outcome = static_cast<Outcome>(i);
    CHECK(parse_outcome(outcome_name(outcome)) == outcome);
  }
  CHECK(outcome_name(Outcome::kNone).empty());
  CHECK(outcome_name(static_cast<Outcome>(200)).empty());
  CHECK(parse_outcome("") == std::nullopt);
  CHECK(parse_outcome("Allow") == std::nullopt);
  CHECK(gap_reason_name(GapReason::kPowerLoss) == "power_loss");
  CHECK(gap_reason_name(GapReason::kNewLog) == "new_log");
}
