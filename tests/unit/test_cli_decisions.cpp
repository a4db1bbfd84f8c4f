// notp decisions: how records are shown and exported, filters, times, and following what arrives.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "common/json/json.hpp"
#include "common/json/json_members.hpp"
#include "common/storage/files.hpp"
#include "common/zstd.hpp"
#include "tests/support/process/shell.hpp"
#include "tests/support/signed_log.hpp"
#include "tools/notp/audit/decision_tail.hpp"
#include "tools/notp/audit/event.hpp"
#include "tools/notp/audit/export_file.hpp"
#include "tools/notp/audit/filter.hpp"
#include "tools/notp/audit/json_text.hpp"
#include "tools/notp/audit/node_state.hpp"
#include "tools/notp/audit/ocsf.hpp"
#include "tools/notp/audit/record_text.hpp"
#include "tools/notp/audit/times.hpp"

namespace notp::cli {
namespace {

// What OPA 1.22.2 wrote to its console for a request, without the fields of its console log (level,
// msg, time, type).
constexpr std::string_view kOpaEvent =
    R"({"decision_id":"a5cd13c1-c57f-49cb-92fe-60645d4dbd7d",)"
    R"("input":{"amount":750,"serial":12345678901234567890123},)"
    R"("labels":{"id":"14669749-338f-476b-b20c-21af9354d4f5","version":"1.22.2"},)"
    R"("metrics":{"counter_server_query_cache_hit":0,"timer_rego_input_parse_ns":507181,)"
    R"("timer_rego_query_compile_ns":73007,"timer_rego_query_eval_ns":398806,)"
    R"("timer_server_handler_ns":1310522},)"
    R"("nd_builtin_cache":{"time.now_ns":{"[]":1795983937334972219}},)"
    R"("path":"payments/transfer/decision","req_id":2,"requested_by":"127.0.0.1:60668",)"
    R"("result":{"allow":true,"at":true,"big":12345678901234567890123},)"
    R"("timestamp":"2026-11-29T20:25:37.335381036Z"})";
constexpr int64_t kOpaTimeNs = 1'795'983'937'335'381'036;

// The same decision as a record.
AuditRecord opa_record() {
  AuditRecord out;
  out.node = "14669749-338f-476b-b20c-21af9354d4f5";
  out.log = SignedLog(1).id();
  record::DecisionContent content;
  content.api = record::Api::kOpa;
  content.path = "payments/transfer/decision";
  content.outcome = record::Outcome::kAllow;
  content.input = R"({"amount":750,"serial":12345678901234567890123})";
  content.result = R"({"allow":true,"at":true,"big":12345678901234567890123})";
  content.nd_builtin_cache = R"({"time.now_ns":{"[]":1795983937334972219}})";
  content.decision_id = "a5cd13c1-c57f-49cb-92fe-60645d4dbd7d";
  content.req_id = 2;
  content.requested_by = "127.0.0.1:60668";
  content.times.all = R"({"counter_server_query_cache_hit":0,"timer_rego_input_parse_ns":507181,)"
                      R"("timer_rego_query_compile_ns":73007,"timer_rego_query_eval_ns":398806,)"
                      R"("timer_server_handler_ns":1310522})";
  out.record = at(std::move(content), kOpaTimeNs);
  record::ActiveSet active;
  active.engine = "opa";
  active.engine_version = "1.22.2";
  out.active = std::make_shared<const record::ActiveSet>(std::move(active));
  return out;
}

// Member → value, as text.
std::map<std::string, std::string> members_of(const Bytes& object) {
  std::map<std::string, std::string> out;
  const auto members = json_members(object);
  REQUIRE_MESSAGE(members, object);
  for (const JsonMember& member : *members)
    CHECK(out.emplace(std::string(member.name), std::string(member.value)).second);
  return out;
}

// Every field of EventV1 set.
AuditRecord full_record() {
  AuditRecord out;
  out.node = kNode;
  out.log = SignedLog(2).id();
  record::DecisionContent content = decision("payments/transfer", R"({"n": 1.50, "s":"a b"})");
  content.eval_time_ns = kStartNs - 5;
  content.api = record::Api::kAuthzen;
  content.query = "data.payments.transfer = x";
  content.error = record::Failure{"eval_conflict_error", "two values", R"([{"code":"c"}])"};
  content.nd_builtin_cache = R"({"rand.intn":{"[\"x\",5]":3}})";
  content.erased = {"/input/password"};
  content.masked = {"/input/card"};
  content.commitments = {{"/input/iban", Bytes(16, '\1'), Bytes(32, '\2')}};
  content.withheld = record::Withheld{record::WithheldReason::kMaskFailed, "no such op",
                                      sha256("in"), std::nullopt};
  content.mapped_result = R"({"m":1})";
  content.intermediate_results = R"({"i":2})";
  content.rule_labels = R"([{"l":3}])";
  content.custom = R"({"c":4})";
  content.batch_decision_id = "batch-1";
  content.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  content.span_id = "00f067aa0ba902b7";
  content.req_id = 18'446'744'073'709'551'615U;
  content.request_context = R"({"http":{"headers":{"x":["y"]}}})";
  content.pep.uid = 1000;
  content.pep.gid = 0;
  content.pep.pid = 4711;
  content.pep.identity = "spiffe://core.internal/ns/shop/till";
  content.pep.token = "till";
  content.pep.address = "[2001:db8::1]:4444";
  content.times.evaluation_us = 120;
  content.times.handler_us = 340;
  out.record = at(std::move(content), kStartNs + 120'000'000, 2, 7);
  out.record.place.position = 9;
  out.active = std::make_shared<const record::ActiveSet>(active_set());
  return out;
}

}  // namespace

TEST_CASE("a decision of an OPA is exported as that OPA wrote it, plus one object") {
  std::map<std::string, std::string> event = members_of(event_json(opa_record()));
  CHECK(event.erase("notp") == 1);
  CHECK(event == members_of(Bytes(kOpaEvent)));
}

TEST_CASE("every field of OPA's event, in its order, and all that is left under notp") {
  const Bytes text = event_json(full_record());
  REQUIRE_MESSAGE(is_json(text), text);
  CHECK_FALSE(text.contains('\n'));
  std::vector<std::string> names;
  const auto members = json_members(text);
  REQUIRE(members);
  for (const JsonMember& member : *members) names.emplace_back(member.name);
  CHECK(names == std::vector<std::string>{"labels",
                                          "decision_id",
                                          "batch_decision_id",
                                          "trace_id",
                                          "span_id",
                                          "revision",
                                          "bundles",
                                          "path",
                                          "query",
                                          "input",
                                          "result",
                                          "intermediate_results",
                                          "mapped_result",
                                          "nd_builtin_cache",
                                          "erased",
                                          "masked",
                                          "error",
                                          "requested_by",
                                          "timestamp",
                                          "metrics",
                                          "req_id",
                                          "rule_labels",
                                          "request_context",
                                          "custom",
                                          "notp"});
  const auto event = members_of(text);
  CHECK(event.at("labels") == R"({"id":"spiffe://core.internal/node/edge-1","version":"1.22.2"})");
  CHECK(event.at("decision_id") ==
        '"' + record::DecisionAddress::of(full_record().log, 2, 9).text() + '"');
  CHECK(event.at("bundles") == R"({"notp":{"revision":"r-41"}})");
  CHECK(event.at("input") == R"({"n":1.50,"s":"a b"})");
  CHECK(event.at("error") ==
        R"({"code":"eval_conflict_error","message":"two values","errors":[{"code":"c"}]})");
  CHECK(event.at("timestamp") == R"("2026-07-01T12:00:00.12Z")");
  CHECK(event.at("metrics") ==
        R"({"timer_rego_query_eval_ns":120000,"timer_server_handler_ns":340000})");
  CHECK(event.at("req_id") == "18446744073709551615");
  CHECK(event.at("requested_by") == R"("[2001:db8::1]:4444")");
  const auto notp = members_of(event.at("notp"));
  CHECK(notp.at("kind") == R"("decision")");
  CHECK(notp.at("position") == "9");
  CHECK(notp.at("run") == "2");
  CHECK(notp.at("ledger") == R"("100000000001/payments")");
  CHECK(notp.at("version") == "41");
  CHECK(notp.at("epoch") == "3");
  CHECK(notp.at("release") == '"' + sha256("a release").hex() + '"');
  CHECK(notp.at("content_root") == '"' + sha256("its content").hex() + '"');
  CHECK(notp.at("freshness") == R"("fresh")");
  CHECK(notp.at("outcome") == R"("allow")");
  CHECK(notp.at("eval_time_ns") == "1782907199999999995");
  CHECK(notp.at("api") == R"("authzen")");
  CHECK(notp.at("pep") ==
        R"({"uid":1000,"gid":0,"pid":4711,"identity":"spiffe://core.internal/ns/shop/till",)"
        R"("token":"till","address":"[2001:db8::1]:4444"})");
  CHECK(notp.at("withheld") ==
        R"({"reason":"mask_failed","message":"no such op","input_sha256":")" + sha256("in").hex() +
            R"("})");
  CHECK(notp.at("commitments") == R"([{"pointer":"/input/iban","salt":")" +
                                      to_hex(Bytes(16, '\1')) + R"(","hmac":")" +
                                      to_hex(Bytes(32, '\2')) + R"("}])");
}

TEST_CASE("an undefined decision has no result, and no member is empty") {
  AuditRecord record;
  record.node = kNode;
  record::DecisionContent content;
  content.path = "a/b";
  content.outcome = record::Outcome::kUndefined;
  record.record = at(content);
  const auto event = members_of(event_json(record));
  std::set<std::string> names;
  for (const auto& [name, value] : event) names.insert(name);
  CHECK(names == std::set<std::string>{"labels", "decision_id", "path", "timestamp", "notp"});
  CHECK(event.at("timestamp") == R"("2026-07-01T12:00:00Z")");
}

TEST_CASE("records that are not decisions, and some that nobody can read, are one JSON line each") {
  const std::vector<record::Content> contents = {
      active_set(), record::RunStart{"notp-client 1.0", 5, "b"}, record::RunEnd{"SIGTERM"},
      record::Gap{record::GapReason::kPowerLoss, 12, true, "", "boot id"},
      record::Dropped{{{"a/b", record::Outcome::kAllow, "drop[0]", 77}}}};
  const std::vector<std::string> kinds = {"active", "run_start", "run_end", "gap", "dropped"};
  for (size_t i = 0; i < contents.size(); ++i) {
    AuditRecord record;
    record.node = kNode;
    record.record = at(contents[i]);
    const Bytes text = event_json(record);
    CHECK_MESSAGE(is_json(text), text);
    CHECK_MESSAGE(text.contains("\"kind\":\"" + kinds[i] + '"'), text);
    CHECK_FALSE(text.contains("decision_id"));
  }
  AuditRecord broken = full_record();
  auto& content = std::get<record::DecisionContent>(broken.record.content);
  content.input = "{\"a\":\n1,}";
  content.path = "\xFF\n";
  CHECK(is_json(event_json(broken)));
  CHECK_FALSE(event_json(broken).contains('\n'));
  CHECK(is_json(ocsf_event(broken)));
  broken.unreadable = "it has an unknown field";
  broken.record.place.position = UINT64_MAX;
  CHECK(event_json(broken).contains("\"kind\":\"unreadable\""));
  CHECK(event_json(broken).contains("it has an unknown field"));
  CHECK(decision_line(Output(Output::Options{}), broken).contains("unreadable"));
}

TEST_CASE("OCSF: API Activity with the decision, the release and who asked") {
  const Bytes text = ocsf_event(full_record());
  const auto parsed = parse_json(members_of(text).at("actor"));
  REQUIRE_MESSAGE(parsed, text);
  const json::value& authorization = parsed->at("authorizations").at(0);
  CHECK(authorization.at("decision") == "allowed");
  CHECK(authorization.at("policy").at("name") == "100000000001/payments");
  CHECK(authorization.at("policy").at("version") == "v41");
  CHECK(authorization.at("policy").at("uid") == json::value(sha256("a release").hex()));
  CHECK(parsed->at("app_uid") == "spiffe://core.internal/ns/shop/till");
  CHECK(parsed->at("process").at("pid") == 4711);
  const auto event = members_of(text);
  CHECK(event.at("class_uid") == "6003");
  CHECK(event.at("category_uid") == "6");
  CHECK(event.at("type_uid") == "600399");
  CHECK(event.at("time") == "1782907200120");
  CHECK(event.at("src_endpoint") == R"({"ip":"2001:db8::1","port":4444})");
  CHECK(event.at("status_id") == "1");
  CHECK(parse_json(event.at("api"))->at("operation") == "payments/transfer");
  CHECK(parse_json(event.at("metadata"))->at("product").at("name") == "notp");
  CHECK(parse_json(event.at("metadata"))->at("sequence") == 9);
  const auto unmapped = members_of(event.at("unmapped"));
  CHECK(unmapped.at("input") == R"({"n":1.50,"s":"a b"})");
  CHECK(unmapped.contains("notp"));
  CHECK_FALSE(unmapped.contains("timestamp"));

  AuditRecord denied = opa_record();
  auto& content = std::get<record::DecisionContent>(denied.record.content);
  content.outcome = record::Outcome::kDeny;
  content.requested_by.clear();
  const Bytes local = ocsf_event(denied);
  CHECK(local.contains(R"("decision":"denied")"));
  CHECK(members_of(local).at("src_endpoint") == R"({"name":")" + denied.node + R"("})");
  content.outcome = record::Outcome::kError;
  CHECK(members_of(ocsf_event(denied)).at("status_id") == "2");
}

TEST_CASE("times: lengths, RFC 3339 with offsets and fractions, days") {
  const TimeMs now_ms = 1'782'907'200'000;
  const std::vector<std::pair<std::string, TimeMs>> good = {
      {"7d", now_ms - 7 * 86'400'000LL},
      {"90m", now_ms - 5'400'000},
      {"2026-07-01T12:00:00Z", now_ms},
      {"2026-07-01t12:00:00z", now_ms},
      {"2026-07-01 12:00:00Z", now_ms},
      {"2026-07-01T14:00:00+02:00", now_ms},
      {"2026-07-01T08:30:00.25-03:30", now_ms + 250},
      {"2026-07-01T12:00:00.123999999Z", now_ms + 123},
      {"2026-07-01", now_ms - 12 * 3'600'000},
      {"1970-01-01T00:00:00Z", 0}};
  for (const auto& [text, expected] : good) {
    const auto time = parse_time(text, now_ms);
    REQUIRE_MESSAGE(time, text);
    CHECK_MESSAGE(*time == expected, text);
  }
  for (const std::string text :
       {"", "soon", "7", "7w", "2026-13-01", "2026-02-30", "2026-07-01T12:00",
        "2026-07-01T25:00:00Z", "2026-07-01T12:00:00", "2026-07-01T12:00:00.Z",
        "2026-07-01T12:00:00+2:00", "2026-07-01T12:00:00Zx", "-026-07-01",
        "9999-12-31T23:59:59-10:00"}) {
    const auto time = parse_time(text, now_ms);
    CHECK_MESSAGE((!time && time.error().code == ErrorCode::kUsage), text);
  }
  CHECK(rfc3339_nanoseconds(kStartNs) == "2026-07-01T12:00:00Z");
  CHECK(rfc3339_nanoseconds(kStartNs + 1) == "2026-07-01T12:00:00.000000001Z");
  CHECK(rfc3339_nanoseconds(-1) == "1969-12-31T23:59:59.999999999Z");
  CHECK(rfc3339_nanoseconds(INT64_MIN) == "1677-09-21T00:12:43.145224192Z");
  CHECK(list_time(kStartNs + 7'999'999) == "2026-07-01 12:00:00.007");
}

TEST_CASE("filters become what the registry is asked") {
  const std::string domain(kDomain);
  const TimeMs now_ms = 1'782'907'200'000;
  const FindRelease find = [](const ReleaseReference& reference) -> Result<Hash> {
    return sha256(fmt::format("{}@v{}", reference.ledger.text(), reference.version));
  };
  FilterOptions options;
  options.since = "1d";
  options.until = "2026-07-01T12:00:00Z";
  options.node = "edge-1";
  options.ledger = "100000000001/payments";
  options.path = "/payments/transfer/";
  options.outcome = "deny";
  options.release = "100000000001/payments@v41";
  options.values = {"ana", "750"};
  options.contains = "t-1";
  const auto filter = make_filter(options, domain, now_ms, find);
  REQUIRE(filter);
  CHECK(filter->since_ms == now_ms - 86'400'000);
  CHECK(filter->until_ms == now_ms);
  CHECK(filter->node == kNode);
  CHECK(filter->ledger == "100000000001/payments");
  CHECK(filter->path == "payments/transfer");
  CHECK(filter->outcome == record::Outcome::kDeny);
  CHECK(filter->release_hash == sha256("100000000001/payments@v41"));
  CHECK(filter->values == options.values);
  CHECK(filter->contains == "t-1");
  CHECK(make_filter({}, domain, now_ms, find).value() == wire::DecisionFilter{});

  FilterOptions by_hash;
  by_hash.release = sha256("x").hex();
  CHECK(make_filter(by_hash, domain, now_ms, find)->release_hash == sha256("x"));
  const auto refused = [&](auto change) {
    FilterOptions bad;
    change(bad);
    const auto result = make_filter(bad, domain, now_ms, find);
    return !result && result.error().code == ErrorCode::kUsage;
  };
  CHECK(refused([](FilterOptions& o) { o.since = "soon"; }));
  CHECK(refused([](FilterOptions& o) { o.since = "1h", o.until = "2h"; }));
  CHECK(refused([](FilterOptions& o) { o.ledger = "payments"; }));
  CHECK(refused([](FilterOptions& o) { o.release = "v41"; }));
  CHECK(refused([](FilterOptions& o) { o.release = "100000000001/payments"; }));
  CHECK(refused([](FilterOptions& o) { o.node = "spiffe://other.internal/node/a"; }));
  CHECK(refused([](FilterOptions& o) { o.values.assign(17, "x"); }));
  CHECK(refused([](FilterOptions& o) { o.contains.assign(4'097, 'x'); }));

  CHECK(node_pattern("*", domain).value().empty());
  CHECK(node_pattern("edge-*", domain).value() == "spiffe://core.internal/node/edge-*");
  CHECK(node_pattern("registry/*", domain).value() == "spiffe://core.internal/registry/*");
  CHECK(node_pattern("spiffe://core.internal/ns/*", domain).value() ==
        "spiffe://core.internal/ns/*");
  CHECK(node_pattern("node/edge-1", domain).value() == kNode);
}

TEST_CASE("pages: what is active, told once a page; records that are too large for one") {
  SignedLog log(3);
  FakeRegistry registry;
  registry.logs = {&log};
  log.seal({at(record::RunStart{}), at(active_set()), at(decision("a", "1"), kStartNs, 1, 1),
            at(decision("b", "2"), kStartNs + 1, 1, 1)});
  log.seal({at(decision("c", "3"), kStartNs + 2, 1, 1)});
  for (const bool left_out : {false, true}) {
    registry.leave_records_out = left_out;
    const auto all = read_all(RecordPages(registry, {}, true), 10);
    REQUIRE(all);
    REQUIRE(all->size() == 3);
    CHECK((*all)[2].decision()->path == "c");
    for (const AuditRecord& each : *all) CHECK(release_text(each) == "100000000001/payments@v41");
    CHECK((*all)[0].id() == record::DecisionAddress::of(log.id(), 1, 2).text());
  }
  const auto too_many = read_all(RecordPages(registry, {}, true), 2);
  CHECK((!too_many && too_many.error().code == ErrorCode::kLimit));
}

TEST_CASE("tail: the newest first, then each that arrives once, whatever the pages") {
  SignedLog one(4), two(5, "spiffe://core.internal/node/edge-2");
  FakeRegistry registry;
  registry.logs = {&one, &two};
  const auto paths = [](const std::vector<AuditRecord>& records) {
    std::string text;
    for (const AuditRecord& each : records) text += each.decision()->path;
    return text;
  };
  const TimeMs now_ms = kStartNs / 1'000'000;
  const auto time_ns = [](int i) { return kStartNs + i * 1'000'000LL; };
  one.seal({at(decision("a", "1"), time_ns(0)), at(decision("b", "1"), time_ns(1))});
  two.seal({at(decision("c", "1"), time_ns(2)), at(decision("d", "1"), time_ns(3))});
  DecisionTail tail({});
  const auto newest = tail.start(registry, 3);
  REQUIRE(newest);
  CHECK(paths(*newest) == "bcd");
  CHECK(paths(tail.poll(registry, now_ms)->records).empty());

  // Both nodes send, one of them what is older than what the other sent before; and the same again.
  one.seal({at(decision("e", "1"), time_ns(1)), at(decision("f", "1"), time_ns(5))});
  two.seal({at(decision("g", "1"), time_ns(4))});
  const auto arrived = tail.poll(registry, now_ms);
  REQUIRE(arrived);
  CHECK(paths(arrived->records) == "egf");
  CHECK_FALSE(arrived->left_out);
  CHECK(paths(tail.poll(registry, now_ms)->records).empty());

  // A log that is new, and a failure in between: nothing is lost by it.
  SignedLog three(6, "spiffe://core.internal/node/edge-3");
  three.seal({at(decision("h", "1"), time_ns(6))});
  registry.logs.push_back(&three);
  registry.refusal = Error{ErrorCode::kUnavailable, "down", {}};
  CHECK_FALSE(tail.poll(registry, now_ms));
  registry.refusal.reset();
  CHECK(paths(tail.poll(registry, now_ms)->records) == "h");

  // What comes later than the window is left to a search.
  one.seal({at(decision("i", "1"), time_ns(7))});
  CHECK(paths(tail.poll(registry, now_ms + kTailWindowMs + 1'000)->records).empty());
}

TEST_CASE("tail: of very many at once the oldest are left out, and it says so") {
  SignedLog log(7);
  FakeRegistry registry;
  registry.logs = {&log};
  registry.page_rows = 200;
  DecisionTail tail({});
  REQUIRE(tail.start(registry, 20)->empty());
  for (size_t sealed = 0; sealed < kTailRowsMax + 500; sealed += 500) {
    std::vector<record::Record> records;
    for (int64_t i = 0; i < 500; ++i)
      records.push_back(at(decision("p", "1"), kStartNs + static_cast<int64_t>(sealed) + i));
    log.seal(std::move(records));
  }
  const auto arrived = tail.poll(registry, kStartNs / 1'000'000);
  REQUIRE(arrived);
  CHECK(arrived->left_out);
  CHECK(arrived->records.size() >= kTailRowsMax);
  CHECK(arrived->records.back().position() == log.row().size - 1);
  CHECK(tail.poll(registry, kStartNs / 1'000'000)->records.empty());
}

TEST_CASE("what a node decided with at a time") {
  SignedLog log(8);
  FakeRegistry registry;
  registry.logs = {&log};
  registry.page_rows = 1;
  record::ActiveSet later = active_set();
  later.releases.front().ref.version = 42;
  const auto hour_ns = [](int64_t i) { return kStartNs + i * 3'600'000'000'000; };
  const auto hour_ms = [&](int64_t i) { return hour_ns(i) / 1'000'000; };
  log.seal({at(record::RunStart{}, hour_ns(0)), at(active_set(), hour_ns(1)), at(later, hour_ns(2)),
            at(record::RunEnd{}, hour_ns(3)), at(record::RunStart{}, hour_ns(4), 2)});
  const auto version_at = [&](TimeMs time_ms) -> uint64_t {
    const auto state = node_state_at(registry, std::string(kNode), time_ms);
    REQUIRE(state);
    if (!*state) return 0;
    return std::get<record::ActiveSet>((*state)->active.record.content)
        .releases.front()
        .ref.version;
  };
  CHECK(version_at(hour_ms(0)) == 0);
  CHECK(version_at(hour_ms(1)) == 41);
  CHECK(version_at(hour_ms(2) - 1) == 41);
  CHECK(version_at(hour_ms(2)) == 42);
  CHECK_FALSE((*node_state_at(registry, std::string(kNode), hour_ms(2)))->ended_ns);
  CHECK((*node_state_at(registry, std::string(kNode), hour_ms(3)))->ended_ns == hour_ns(3));
  CHECK_FALSE((*node_state_at(registry, std::string(kNode), hour_ms(4)))->ended_ns);
  CHECK_FALSE(*node_state_at(registry, "spiffe://core.internal/node/other", hour_ms(9)));
}

TEST_CASE("an export appears when it is complete; its pieces are one file to zstd") {
  TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "decisions.jsonl";
  auto file = ExportFile::open(path, /*compress=*/false);
  REQUIRE(file);
  REQUIRE(file->write(R"({"a":1})"));
  CHECK_FALSE(std::filesystem::exists(path));
  REQUIRE(file->write(R"({"a":2})"));
  REQUIRE(file->finish());
  CHECK(read_file(path, 100).value() == "{\"a\":1}\n{\"a\":2}\n");
  CHECK_FALSE(std::filesystem::exists(path.string() + ".part"));

  const std::filesystem::path small = folder.path() / "decisions.zst";
  auto compressed = ExportFile::open(small, /*compress=*/true);
  REQUIRE(compressed);
  REQUIRE(compressed->write(Bytes(1'000, 'x')));
  REQUIRE(compressed->finish());
  const Bytes frame = read_file(small, 1'000).value();
  CHECK(frame.size() == compressed->bytes());
  CHECK(zstd_decompress(frame, {}, 1'001).value() == Bytes(1'000, 'x') + "\n");
  CHECK_FALSE(ExportFile::open(folder.path() / "absent/file", false));
}

TEST_CASE("show prints all that a decision says") {
  const std::string text = decision_text(full_record());
  for (const std::string_view part :
       {"2026-07-01T12:00:00.12Z", "2026-07-01T11:59:59.999999995Z", "100000000001/payments@v41",
        "100000000001/roles@v7", "embedded 1.22.2", "spiffe://core.internal/ns/shop/till",
        "token till", "uid 1000", "process 4711", "/input/password", "/input/card", "/input/iban",
        "the mask failed, no such op", "eval_conflict_error: two values", "\"n\": 1.50",
        "rand.intn", "340 µs", "authzen", "batch-1"})
    CHECK_MESSAGE(text.contains(part), part << "\n" << text);
  const std::string line = decision_line(Output(Output::Options{}), full_record());
  CHECK(line == fmt::format("2026-07-01 12:00:00.120  node/edge-1     allow      "
                            "100000000001/payments@v41     payments/transfer  {}\n",
                            full_record().id()));
}

TEST_CASE("the program: mistakes on the command line, help and completions") {
  Shell shell;
  for (const auto& line :
       std::vector<std::vector<std::string>>{{"decisions"},
                                             {"decisions", "frobnicate"},
                                             {"decisions", "search", "--outcome", "maybe"},
                                             {"decisions", "search", "--all", "--limit", "3"},
                                             {"decisions", "search", "--limit", "0"},
                                             {"decisions", "tail", "-f", "--until", "1h"},
                                             {"decisions", "show"},
                                             {"decisions", "show", std::string(200, 'x')},
                                             {"decisions", "export", "--format", "parquet"},
                                             {"decisions", "verify", "--log", "XYZ"},
                                             {"decisions", "missing"},
                                             {"decisions", "gaps", "--since", "soon"},
                                             {"node", "at", "edge-1"},
                                             {"node", "at", "edge-1", "soon"},
                                             {"decisions", "tail"}}) {  // no registry is configured
    const Ran ran = shell.notp(line);
    CHECK_MESSAGE(ran.status == 2, fmt::format("{}: {}", line.back(), ran.error));
    CHECK(ran.output.empty());
    CHECK(ran.error.starts_with("notp: "));
  }
  CHECK(error_code(shell.notp({"decisions", "stats", "-o", "json"})) == "usage");
  CHECK(shell.notp({"decisions", "missing", "--ids", "absent.txt"}).status == 8);
  const Ran help = shell.notp({"decisions", "verify", "--help"});
  CHECK(help.status == 0);
  CHECK(help.output.contains("3 nothing differs, but there are gaps"));
  const Ran completion = shell.notp({"completion", "bash"});
  CHECK(completion.output.contains("'decisions/verify') at='decisions verify' ;;"));
  CHECK(completion.output.contains("'decisions export:--format') words='opa jsonl ocsf' ;;"));
  CHECK(completion.output.contains("'node/at') at='node at' ;;"));
}

}  // namespace notp::cli
