// The own form of events: which lines are events, and that no refusal repeats a token.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/crypto/digest.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/own_events.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {
namespace {

constexpr TimeMs kNow = 1'800'000'000'000;
constexpr std::string_view kToken = "2YotnFZFEjr1zCsicMWpAA";

std::vector<EventLine> read(std::string_view body, std::vector<std::string> issuers = {}) {
  auto lines = read_event_lines(body, issuers, kNow);
  REQUIRE(lines);
  return *std::move(lines);
}
template <typename T>
T only(std::string_view line) {
  const auto lines = read(line);
  REQUIRE(lines.size() == 1);
  REQUIRE_MESSAGE(lines[0].event, lines[0].event.error().message);
  return std::get<T>(lines[0].event->what);
}

TEST_CASE("lines add, delete and revoke; tokens are hashed at once") {
  const feed::TokenId id = feed::token_id(kToken);
  const auto added = only<lane::TokenAdded>(fmt::format(
      R"({{"op":"add","token":"{}","attributes":{{"sub":"ana","exp":1800000600}},"key":"a-1"}})",
      kToken));
  CHECK(added.id == id);
  CHECK(added.attributes == json::object{{"sub", "ana"}, {"exp", 1'800'000'600}});
  // By the whole hash, or its front.
  const std::string hash = to_hex(sha256(kToken).view());
  for (const std::string& text : {hash, hash.substr(0, 32)})
    CHECK(only<lane::TokenDeleted>(fmt::format(R"({{"op":"del","id":"{}"}})", text)).id == id);
  CHECK(only<lane::TokenDeleted>(
            fmt::format(R"({{"op":"del","token":"{}","exp":1800000600}})", kToken))
            .exp_s == 1'800'000'600);

  const auto subject = only<lane::Revoked>(R"({"op":"revoke","iss":"https://a","sub":"ana"})");
  CHECK(subject.kind == feed::MarkKind::kSubject);
  // A provider whose clock is ahead has issued what it revokes in its own future.
  CHECK(subject.not_before_s == kNow / 1000 + lane::kRevokeAheadS);
  const auto session = only<lane::Revoked>(R"({"op":"revoke","iss":"https://a","sid":"s"})");
  CHECK(session.kind == feed::MarkKind::kSession);
  CHECK(session.not_before_s == feed::kAnyIssueTime);
  CHECK(only<lane::Revoked>(R"({"op":"revoke","iss":"https://a","sid":"s","before":7})")
            .not_before_s == 7);
  CHECK(only<lane::Revoked>(R"({"op":"revoke","iss":"https://a","jti":"j"})").kind ==
        feed::MarkKind::kTokenNumber);
  CHECK(only<lane::Revoked>(R"({"op":"revoke","iss":"https://a","txn":"t"})").kind ==
        feed::MarkKind::kTransaction);
}

TEST_CASE("blank lines are left out, and refused ones do not hold up the others") {
  const auto lines = read(
      "\n{\"op\":\"del\",\"token\":\"a\"}\r\n  \nnonsense\n"
      "{\"op\":\"del\",\"token\":\"b\",\"key\":\"k\"}");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].number == 2);
  CHECK(lines[0].event);
  CHECK(lines[1].number == 4);
  CHECK(rule_of(lines[1].event.error()) == "line.not-json");
  CHECK(lines[2].number == 5);
  CHECK(lines[2].event->key == "k");
  CHECK(read("").empty());
  CHECK(read("\n\n").empty());

  std::string many;
  for (size_t i = 0; i <= kEventLinesMax; ++i) many += "{}\n";
  CHECK(read_event_lines(many, {}, kNow).error().code == ErrorCode::kLimit);
}

TEST_CASE("lines that are no events are refused by name, and no token is repeated") {
  const std::string secret(40, 'S');
  const std::pair<std::string, const char*> rows[] = {
      {"[]", "line.not-json"},
      {R"({"op":"del","token":")" + secret, "line.not-json"},
      {R"({"op":"del","token":")" + secret + R"(","token":"x"})", "line.not-json"},
      {R"({"op":"del","token":")" + std::string(kTokenBytesMax + 1, 'S') + "\"}", "line.member"},
      {R"({"op":"del","token":")" + std::string(kEventLineBytesMax, 'S') + "\"}", "line.too-long"},
      {R"({"token":")" + secret + "\"}", "line.op"},
      {R"({"op":"drop","token":")" + secret + "\"}", "line.op"},
      {R"({"op":7,"token":")" + secret + "\"}", "line.member"},
      {R"({"op":"del"})", "line.id"},
      {R"({"op":"del","token":")" + secret + R"(","id":"00"})", "line.id"},
      {R"({"op":"del","id":")" + secret + "\"}", "line.id"},
      {R"({"op":"del","id":5})", "line.member"},
      {R"({"op":"del","token":""})", "line.member"},
      {R"({"op":"del","token":")" + secret + R"(","exp":-1})", "line.time"},
      {R"({"op":"del","token":")" + secret + R"(","exp":1.5})", "line.time"},
      {R"({"op":"del","token":")" + secret + R"(","sub":"ana"})", "line.member"},
      {R"({"op":"add","token":")" + secret + R"(","sub":"ana"})", "line.member"},
      {R"({"op":"add","token":")" + secret + R"(","attributes":[]})", "line.member"},
      {R"({"op":"add","token":")" + secret + R"(","key":")" + std::string(257, 'k') + "\"}",
       "line.member"},
      {R"({"op":"revoke","sub":"ana"})", "line.member"},
      {R"({"op":"revoke","iss":"https://a"})", "line.member"},
      {R"({"op":"revoke","iss":"https://a","sub":"a","sid":"b"})", "line.member"},
      {R"({"op":"revoke","iss":"https://a","sub":"a","before":"now"})", "line.time"},
      {R"({"op":"revoke","iss":"https://other","sub":"a"})", "subject.other-issuer"},
      {R"({"op":"add","token":")" + secret + R"(","attributes":{"iss":"https://other"}})",
       "subject.other-issuer"},
  };
  for (const auto& [line, rule] : rows) {
    INFO(line.substr(0, 120));
    const auto lines = read(line, {"https://a"});
    REQUIRE(lines.size() == 1);
    REQUIRE(!lines[0].event);
    CHECK(rule_of(lines[0].event.error()) == rule);
    CHECK(!lines[0].event.error().message.contains("SSSS"));
  }
}

}  // namespace
}  // namespace notp::lane_inputs
