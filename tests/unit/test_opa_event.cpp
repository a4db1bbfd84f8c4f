// Events of OPA's decision log as records.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/limits.hpp"
#include "notp-client/opa_log/event_time.hpp"
#include "notp-client/opa_log/json_text.hpp"
#include "notp-client/opa_log/opa_event.hpp"

namespace notp::opa_log {
namespace {

// What OPA 1.22.2 wrote for one decision: an element of /logs, and a line of file_logger.
constexpr std::string_view kElement =
    R"({"labels":{"id":"e7c40e94-7aee-4855-9ff4-25da252519c5","version":"1.22.2"},"decision_id":"a3c0fd45-08a7-4e54-94d3-6a26f984f170","bundles":{"notp":{"revision":"100000000000/app@3"}},"path":"app/a%20b%2Fc","input":{"big":12345678901234567890123,"e":1e400,"f":1.50,"s":"a\u003cb\u003e\u0026ü\u0001\u2028"},"result":{"allow":true},"nd_builtin_cache":{"time.now_ns":{"[]":1795983799361198636}},"requested_by":"127.0.0.1:4711","timestamp":"2026-11-29T20:24:28.693886922Z","metrics":{"timer_rego_query_eval_ns":28885,"timer_server_handler_ns":1094190},"req_id":7})";
constexpr std::string_view kLine =
    R"({"time":"2026-11-29T20:24:28.694","level":"INFO","msg":"Decision Log","type":"openpolicyagent.org/decision_logs","timestamp":"2026-11-29T20:24:28.693886922Z","decision_id":"a3c0fd45-08a7-4e54-94d3-6a26f984f170","labels":{"id":"e7c40e94-7aee-4855-9ff4-25da252519c5","version":"1.22.2"},"bundles":{"notp":{"revision":"100000000000/app@3"}},"path":"app/a%20b%2Fc","input":{"big":12345678901234567890123,"e":1e400,"f":1.50,"s":"a<b>&ü\u0001\u2028"},"result":{"allow":true},"nd_builtin_cache":{"time.now_ns":{"[]":1795983799361198636}},"requested_by":"127.0.0.1:4711","metrics":{"timer_rego_query_eval_ns":28885,"timer_server_handler_ns":1094190},"req_id":7})";

OpaEvent event_of(std::string_view text) {
  auto event = parse_event(text);
  REQUIRE_MESSAGE(event, event.error().message);
  return *std::move(event);
}

OpaEvent event_of_line(std::string_view line) {
  auto event = parse_line(line);
  REQUIRE_MESSAGE(event, event.error().message);
  REQUIRE(*event);
  return **std::move(event);
}

// The least that is an event, and more members.
std::string with(std::string_view members) {
  return fmt::format(R"({{"timestamp":"2026-01-01T00:00:00Z","decision_id":"d"{}{}}})",
                     members.empty() ? "" : ",", members);
}

}  // namespace

TEST_CASE("both forms of an event are one record") {
  const OpaEvent one = event_of(kElement), two = event_of_line(kLine);
  CHECK(one.content == two.content);
  CHECK(one.key == two.key);
  CHECK(one.instance == "e7c40e94-7aee-4855-9ff4-25da252519c5");
  CHECK(two.instance == one.instance);
  CHECK(one.revision == "100000000000/app@3");
  CHECK(two.revision == one.revision);
  CHECK(one.time_ns == 1'795'983'868'693'886'922);
  CHECK(two.time_ns == one.time_ns);
  CHECK(one.is_counted);
  const record::DecisionContent& content = one.content;
  CHECK(content.api == record::Api::kOpa);
  CHECK(content.path == "app/a b%2Fc");
  CHECK(one.path == std::vector<std::string>{"app", "a b/c"});
  CHECK(content.outcome == record::Outcome::kAllow);
  // Numbers keep their text, and escapes that are not needed are gone.
  CHECK(content.input ==
        "{\"big\":12345678901234567890123,\"e\":1e400,\"f\":1.50,\"s\":\"a<b>&ü\\u0001\u2028\"}");
  CHECK(content.result == R"({"allow":true})");
  CHECK(content.eval_time_ns == 1'795'983'799'361'198'636);
  CHECK(content.times.evaluation_us == 28);
  CHECK(content.times.handler_us == 1094);
  CHECK(content.req_id == 7);
  CHECK(content.requested_by == "127.0.0.1:4711");
}

TEST_CASE("an error is an object in one form and a text in the other") {
  const auto object = event_of(with(
      R"("error":{"code":"eval_conflict_error","message":"rule data.app.c: 1","location":{"row":7}})"));
  const auto text =
      event_of(with(R"("error":"b/p.rego:7: eval_conflict_error: rule data.app.c: 1")"));
  REQUIRE(object.content.error);
  REQUIRE(text.content.error);
  CHECK(object.content.error->code == "eval_conflict_error");
  CHECK(text.content.error->code == object.content.error->code);
  CHECK(text.content.error->message == object.content.error->message);
  CHECK(object.content.error->errors.starts_with(R"([{"code":"eval_conflict_error")"));
  CHECK(object.content.outcome == record::Outcome::kError);
  // A plain request for an undefined document.
  for (const std::string_view error :
       {R"({"code":"undefined_document","message":"document missing: data.x"})",
        R"("undefined_document: document missing: data.x")"}) {
    const auto undefined = event_of(with(fmt::format(R"("error":{})", error)));
    CHECK(undefined.content.outcome == record::Outcome::kUndefined);
    CHECK(undefined.content.error->message == "document missing: data.x");
  }
  CHECK(event_of(with(R"("error":"what")")).content.error->message == "what");
}

TEST_CASE("outcomes, absent and masked results") {
  CHECK(event_of(with("")).content.outcome == record::Outcome::kUndefined);
  CHECK(event_of(with(R"("result":false)")).content.outcome == record::Outcome::kDeny);
  CHECK(event_of(with(R"("result":[1])")).content.outcome == record::Outcome::kOther);
  CHECK(event_of(with(R"("erased":["/result"])")).content.outcome == record::Outcome::kOther);
  CHECK_FALSE(event_of(with("")).content.input);
  CHECK(event_of(with(R"("input":null)")).content.input == "null");
}

TEST_CASE("the handler that OPA's counters do not tell apart is not counted") {
  const auto event = event_of(
      R"({"timestamp":"2026-01-01T00:00:00Z","decision_id":"","custom":{"type":"open-policy-agent/compile"}})");
  CHECK_FALSE(event.is_counted);
  CHECK(event.content.decision_id.empty());
  // Without an id the same text is the same event.
  CHECK(event.key != event_of(with("")).key);
  // What a caller adds does not make it one.
  CHECK(event_of(with(R"("custom":{"type":"x","a":"open-policy-agent/compile"})")).is_counted);
}

TEST_CASE("lines that are no decision, damaged and joined lines") {
  const auto other = parse_line(R"({"time":"t","level":"INFO","msg":"Initializing server."})");
  REQUIRE(other);
  CHECK_FALSE(*other);
  CHECK_FALSE(parse_line(R"({"time":"t","level":"IN)"));
  CHECK_FALSE(parse_line(""));
  // OPA was killed within a line; the next process wrote behind it.
  const std::string half(kLine.substr(0, kLine.size() / 2));
  CHECK(event_of_line(half + std::string(kLine)).content == event_of_line(kLine).content);
  for (const size_t part : {1UZ, 9UZ, 20UZ, 300UZ, kLine.size() - 1})
    CHECK(event_of_line(std::string(kLine.substr(0, part)) + std::string(kLine)).key ==
          event_of_line(kLine).key);
}

TEST_CASE("text that is not an event is refused with its reason") {
  CHECK(parse_event("[]").error().code == ErrorCode::kMessage);
  CHECK(parse_event("{}").error().message.contains("timestamp"));
  CHECK(parse_event(with(R"("trace_id":7)")).error().message.contains("trace_id"));
  CHECK(parse_event(with(fmt::format(R"("span_id":"{}")", std::string(300, 'x'))))
            .error()
            .message.contains("300 bytes"));
  CHECK(parse_event(with(R"("erased":{})")).error().message.contains("erased"));
  const auto all = parse_events(fmt::format("[{}, {{}}, 7, {}]", with(""), with("")));
  REQUIRE(all);
  CHECK(all->events.size() == 2);
  CHECK(all->damaged == 2);
  CHECK(parse_events("{}").error().code == ErrorCode::kMessage);
}

TEST_CASE("a large event fits into a record") {
  const std::string large(limits::kRecordBytesMax, 'x');
  const auto event = event_of(with(fmt::format(R"("input":"{}","result":true)", large)));
  CHECK_FALSE(event.content.input);
  REQUIRE(event.content.withheld);
  CHECK(event.content.withheld->reason == record::WithheldReason::kOversized);
  CHECK(event.content.withheld->input_hash == sha256('"' + large + '"'));
  CHECK(event.content.outcome == record::Outcome::kAllow);
  CHECK(record::encode_content(1, event.content).size() < limits::kRecordBytesMax);

  const auto cached = event_of(with(fmt::format(
      R"("nd_builtin_cache":{{"http.send":"{}"}},"custom":{{"a":"{}"}})",
      std::string(limits::kNdCacheBytesMax, 'x'), std::string(kEventExtrasBytesMax, 'x'))));
  CHECK(cached.content.nd_builtin_cache.empty());
  CHECK(cached.content.custom.empty());
  CHECK(cached.content.erased == std::vector<std::string>{"/nd_builtin_cache", "/custom"});

  std::string deep = "1";
  for (size_t i = 0; i < limits::kJsonDepthMax + 1; ++i) deep = "[" + deep + "]";
  const auto withheld = event_of(with(fmt::format(R"("input":{})", deep)));
  REQUIRE(withheld.content.withheld);
  CHECK(withheld.content.withheld->input_hash == sha256(deep));

  const auto head = parse_long_line(kLine.substr(0, kLine.find("1.50")));
  REQUIRE(head);
  CHECK(head->key == event_of_line(kLine).key);
  CHECK(head->content.path == "app/a b%2Fc");
  CHECK(head->content.withheld);
  CHECK_FALSE(parse_long_line(R"({"time":"x)"));
}

TEST_CASE("what the module in OPA says of its work") {
  const auto event = event_of(with(
      R"("input":{"k":1,"c":null},"nd_builtin_cache":{"a.b":{"[]":1},"notp.log":{"upserts":2,"removes":1,"erased":["/input/e mail"],"masked":["/input/c"],"commitments":[{"pointer":"/input/c","salt":"0123456789abcdef","hmac":"5dcac8d0887230166cadd020583af1987451cf91985f5a49ed9dc6ec6c5a64b8"}],"outcome":"deny"}},"erased":["/result","/input/x"],"masked":["/input","/nd_builtin_cache","/input/y"])"));
  CHECK(event.content.erased == std::vector<std::string>{"/input/e mail", "/input/x"});
  CHECK(event.content.masked == std::vector<std::string>{"/input/c", "/input/y"});
  CHECK(event.content.outcome == record::Outcome::kDeny);
  CHECK(event.content.nd_builtin_cache == R"({"a.b":{"[]":1}})");
  REQUIRE(event.content.commitments.size() == 1);
  CHECK(event.content.commitments[0].salt == "0123456789abcdef");
  CHECK(event.content.commitments[0].hmac.size() == 32);
  CHECK(event.is_masked);

  const auto failed = event_of(with(
      R"("nd_builtin_cache":{"notp.log":{"upserts":1,"removes":1,"outcome":"allow","failure":"no set"}},"erased":["/input"],"masked":["/nd_builtin_cache"])"));
  REQUIRE(failed.content.withheld);
  CHECK(failed.content.withheld->reason == record::WithheldReason::kMaskFailed);
  CHECK(failed.content.withheld->message == "no set");
  CHECK(failed.content.outcome == record::Outcome::kAllow);
  CHECK(failed.content.erased.empty());
  CHECK(failed.content.nd_builtin_cache.empty());

  const auto dropped = event_of(with(
      R"("nd_builtin_cache":{"notp.log":{"upserts":1,"removes":1,"outcome":"other","dropped":true}})"));
  CHECK(dropped.is_dropped);
  CHECK(dropped.content.outcome == record::Outcome::kOther);
}

TEST_CASE("times") {
  CHECK(parse_time("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_time("2026-11-29T20:24:28.5+01:30") == 1'795'978'468'500'000'000);
  for (const std::string_view text :
       {"", "2026-11-29", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z", "1969-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z", "2026-01-01T00:00:00Zx"})
    CHECK_FALSE(parse_time(text));
}

TEST_CASE("compact JSON keeps what it means") {
  CHECK(compact_json(" { \"a b\" : [ 1 , 2.50 ] } ") == R"({"a b":[1,2.50]})");
  CHECK(compact_json(R"("\u0041\/\n\u000A\u00fc\ud83d\ude00\"\\")") == "\"A/\\n\\nü😀\\\"\\\\\"");
  CHECK_FALSE(compact_json("{"));
  CHECK_FALSE(compact_json(R"("\ud83dx")"));
  CHECK_FALSE(compact_json("1 2"));
  CHECK_FALSE(compact_json("\"\xff\""));
  CHECK(json_text(R"("a\u0000b")") == std::string("a\0b", 3));
  CHECK_FALSE(json_text("1"));
}

}  // namespace notp::opa_log
