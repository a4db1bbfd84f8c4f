// What `notp sources` says of a provider, in each of its states.
#include <doctest/doctest.h>

#include "tools/notp/registry/source_rows.hpp"

namespace notp::cli {
namespace {

constexpr TimeMs kNowMs = 1'800'000'000'000;
constexpr TimeMs kMinuteMs = 60'000;

wire::SourceRow row(wire::IssuerState state) {
  wire::SourceRow out;
  out.status = {.name = "login",
                .issuer = "https://login.example",
                .ledger = {100'000'000'000, "keys"},
                .state = state,
                .good_ms = kNowMs - 12 * kMinuteMs};
  out.fetched_ms = kNowMs - kMinuteMs;
  out.next_ms = kNowMs + 30'000;
  out.version = 7;
  out.fetches = 1'234;
  out.unknown_keys = 3;
  out.jwks_uri = "https://login.example/jwks";
  out.kids = {"one", ""};
  return out;
}

wire::SourceRow failed(wire::IssuerState state) {
  wire::SourceRow out = row(state);
  out.code = static_cast<uint32_t>(ErrorCode::kTimeout);
  out.message = "no answer\x1b[2J within 5 s";
  return out;
}

const Output kPlain{{}};

TEST_CASE("sources: a table with ages, and below it what to do about those that are not well") {
  const std::string text =
      sources_text(kPlain, {row(wire::IssuerState::kOk), failed(wire::IssuerState::kLate)}, kNowMs);
  CHECK(text.contains("12m ago"));
  CHECK(text.contains("in 30s"));
  CHECK(text.contains("v7"));
  CHECK(text.contains("100000000000/keys"));
  // One line of advice, for the second; nothing that could disturb a terminal.
  CHECK(text.contains("\nlogin: the last fetch failed: "));
  CHECK(text.contains("(timeout)"));
  CHECK_FALSE(text.contains('\x1b'));
  CHECK(sources_text(kPlain, {row(wire::IssuerState::kOk)}, kNowMs).find("\n\n") ==
        std::string::npos);
  CHECK(sources_text(kPlain, {}, kNowMs).contains("sources.issuers"));
}

TEST_CASE("sources: what is wrong says what nodes decide with, and what a person can do") {
  CHECK(source_advice(row(wire::IssuerState::kOk), kNowMs).empty());
  const std::string late = source_advice(failed(wire::IssuerState::kLate), kNowMs);
  CHECK(late.contains("nodes keep those of v7, fetched 12m ago"));
  CHECK(late.contains("in 30s"));
  const std::string failing = source_advice(failed(wire::IssuerState::kFailing), kNowMs);
  CHECK(failing.contains("https://login.example/jwks"));
  CHECK(failing.contains("notp sources refresh login"));
  const std::string suspect = source_advice(failed(wire::IssuerState::kSuspect), kNowMs);
  CHECK(suspect.contains("are not taken"));
  CHECK(suspect.contains("nodes keep those of v7"));
  wire::SourceRow never = failed(wire::IssuerState::kFailing);
  never.version = 0;
  never.status.good_ms = 0;
  never.jwks_uri.clear();
  CHECK(source_advice(never, kNowMs).contains("nodes have no keys of it"));
  CHECK(source_advice(never, kNowMs).contains("whether https://login.example answers"));
}

TEST_CASE("sources: what a fetch brought and could not be published is no failed fetch") {
  for (const auto state : {wire::IssuerState::kLate, wire::IssuerState::kFailing}) {
    wire::SourceRow unpublished = failed(state);
    unpublished.code = static_cast<uint32_t>(ErrorCode::kSignature);
    unpublished.message = "root v3 gives 1*/keys to other keys";
    unpublished.status.good_ms = unpublished.fetched_ms + 80;
    const std::string advice = source_advice(unpublished, kNowMs);
    CHECK_MESSAGE(advice.contains("not published: root v3 gives"), advice);
    CHECK(advice.contains("nodes keep those of v7"));
    CHECK_FALSE(advice.contains("fetches have failed"));
    CHECK_FALSE(advice.contains("fetch failed"));
    const std::string text = source_text(kPlain, unpublished, kNowMs);
    CHECK(text.contains("v7: root v3 gives"));
    CHECK_FALSE(text.contains("(60s ago):"));
  }
}

TEST_CASE("sources: one of them, for people and for programs") {
  const std::string text = source_text(kPlain, failed(wire::IssuerState::kFailing), kNowMs);
  for (const char* part : {"failing", "(12m ago)", "(60s ago)", "2: one (without kid)", "1,234",
                           "3 reported by nodes", "notp sources refresh login"})
    CHECK_MESSAGE(text.contains(part), std::string(part), " in ", text);

  const json::object document = source_json(failed(wire::IssuerState::kFailing), kNowMs);
  CHECK(document.at("state") == "failing");
  CHECK(document.at("good_age_s") == 720);
  CHECK(document.at("kids") == json::array{"one", ""});
  CHECK(document.at("version") == 7);
  CHECK(document.at("error").at("code") == "timeout");
  CHECK(document.contains("advice"));
  wire::SourceRow fresh = row(wire::IssuerState::kOk);
  fresh.status.good_ms = fresh.fetched_ms = fresh.next_ms = 0;
  fresh.version = 0;
  const json::object sparse = source_json(fresh, kNowMs);
  for (const char* name : {"good", "good_age_s", "fetched", "next", "version", "error", "advice"})
    CHECK_MESSAGE(!sparse.contains(name), name);
}

}  // namespace
}  // namespace notp::cli
