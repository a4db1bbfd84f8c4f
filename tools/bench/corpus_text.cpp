#include "tools/bench/corpus_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace notp::bench {
namespace {

constexpr std::string_view kActions[] = {"read",   "write", "delete", "approve", "list",
                                         "create", "amend", "export", "share",   "archive"};
constexpr std::string_view kThings[] = {"account",  "invoice",  "payment", "order",   "ledger",
                                        "customer", "contract", "report",  "device",  "session",
                                        "vehicle",  "patient",  "claim",   "asset",   "ticket",
                                        "project",  "branch",   "parcel",  "booking", "meter"};
constexpr std::string_view kTraits[] = {"department", "region", "tenant",   "owner",
                                        "grade",      "site",   "contract", "division",
                                        "posture",    "shift",  "country",  "cost_unit"};
constexpr std::string_view kGiven[] = {"ada",  "ben",  "cleo", "dora", "emil", "fay", "gus",
                                       "hana", "ivan", "june", "kofi", "lena", "max", "noor",
                                       "otto", "pia",  "rafi", "sara", "tom",  "uma"};
constexpr std::string_view kFamily[] = {"adler", "brandt", "costa", "diaz",  "egede", "fischer",
                                        "gupta", "hassan", "ito",   "jones", "kaya",  "lopez",
                                        "meyer", "nowak",  "olsen", "petit"};
constexpr std::string_view kUnits[] = {"eng", "ops", "fin", "people", "legal", "sales"};
constexpr std::string_view kCompare[] = {"==", "!=", ">=", "<="};
constexpr std::string_view kDetail[] = {"full", "short", "none"};

}  // namespace

std::string Chance::hex(size_t digits) {
  std::string out;
  while (out.size() < digits) out += "0123456789abcdef"[below(16)];
  return out;
}

std::string Chance::base64url(size_t bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  for (size_t left = (bytes * 8 + 5) / 6; left > 0; --left) out += kAlphabet[below(64)];
  return out;
}

std::string make_timestamp(Chance& chance) {
  return fmt::format("2026-0{}-{}T{}:{}:{}Z", chance.between(1, 9), chance.between(10, 28),
                     chance.between(10, 23), chance.between(10, 59), chance.between(10, 59));
}

Subject make_subject(Chance& chance) {
  Subject subject;
  subject.id = fmt::format("{}-{}-4{}-{}{}-{}", chance.hex(8), chance.hex(4), chance.hex(3),
                           "89ab"[chance.below(4)], chance.hex(3), chance.hex(12));
  subject.email = fmt::format("{}.{}{}@example.com", chance.pick(kGiven), chance.pick(kFamily),
                              chance.between(1, 9'999));
  std::vector<std::string> roles;
  for (int64_t left = chance.between(1, 5); left > 0; --left)
    roles.push_back(
        fmt::format("\"{}_{}er\"", kThings[chance.below(10)], kActions[chance.below(6)]));
  std::ranges::sort(roles);
  const auto repeated = std::ranges::unique(roles);
  roles.erase(repeated.begin(), repeated.end());
  subject.roles = fmt::format("[{}]", fmt::join(roles, ","));
  subject.department = chance.pick(kUnits);
  subject.clearance = static_cast<int>(chance.below(6));
  subject.mfa = chance.percent(80);
  subject.tenant = fmt::format("t{:03}", chance.below(500));
  subject.updated_at = make_timestamp(chance);
  return subject;
}

std::string subject_text(const Subject& s) {
  return fmt::format(
      R"({{"id":"{}","email":"{}","roles":{},"department":"{}","clearance":{},"mfa":{},)"
      R"("tenant":"{}","updated_at":"{}"}})",
      s.id, s.email, s.roles, s.department, s.clearance, s.mfa, s.tenant, s.updated_at);
}

std::string document_text(const std::vector<Subject>& subjects) {
  std::string out = R"({"version":1,"subjects":[)";
  for (const Subject& subject : subjects) {
    if (out.back() != '[') out += ',';
    out += subject_text(subject);
  }
  return out + "]}";
}

std::string policy_text(Chance& chance, const std::string& team, size_t number) {
  const std::string_view thing = chance.pick(kThings);
  std::string out = fmt::format(
      "# METADATA\n# title: who may use {0}s ({2})\n# description: Access of {1} to {0}s.\n"
      "# custom:\n#   owner: {1}@example.com\n#   ticket: SEC-{3}\n"
      "package authz.{1}.{0}_{2}\n\nimport rego.v1\n\nimport data.shared.roles\n"
      "import data.tenants.{1}.config\n\ndefault allow := false\n",
      thing, team, number, chance.between(1'000, 99'999));
  for (int64_t rules = chance.between(5, 9); rules > 0; --rules) {
    const std::string_view action = chance.pick(kActions);
    out += fmt::format(
        "\nallow if {{\n\tinput.action == \"{1}\"\n\tinput.resource.type == \"{0}\"\n"
        "\tsome role in input.subject.roles\n\trole in roles.{0}_{1}rs\n"
        "\tinput.subject.{2} {3} input.resource.{4}\n\tnot input.subject.suspended\n"
        "\tinput.context.risk_score < {5}\n}}\n",
        thing, action, chance.pick(kTraits), chance.pick(kCompare), chance.pick(kTraits),
        chance.between(1, 100));
  }
  if (chance.percent(70))
    out += fmt::format(
        "\ndeny contains reason if {{\n\tinput.resource.{1} == config.blocked[_]\n"
        "\treason := sprintf(\"{0} %s is closed to %s (code {2})\", "
        "[input.resource.id, input.subject.id])\n}}\n",
        thing, chance.pick(kTraits), chance.hex(6));
  if (chance.percent(50))
    out += fmt::format("\nobligations := {{\"log\": \"{}\", \"ttl\": {}}}\n", chance.pick(kDetail),
                       chance.between(30, 3'600));
  return out;
}

std::string key_text(Chance& chance, bool rsa) {
  if (rsa)
    return fmt::format(
        "  {{\n   \"kty\": \"RSA\",\n   \"use\": \"sig\",\n   \"alg\": \"RS256\",\n"
        "   \"kid\": \"{}\",\n   \"e\": \"AQAB\",\n   \"n\": \"{}\"\n  }}",
        chance.hex(16), chance.base64url(256));
  const std::string kid = chance.hex(16), x = chance.base64url(32), y = chance.base64url(32);
  return fmt::format(
      "  {{\n   \"kty\": \"EC\",\n   \"crv\": \"P-256\",\n   \"use\": \"sig\",\n"
      "   \"alg\": \"ES256\",\n   \"kid\": \"{}\",\n   \"x\": \"{}\",\n   \"y\": \"{}\"\n  }}",
      kid, x, y);
}

std::string key_set_text(const std::vector<std::string>& keys) {
  return fmt::format("{{\n \"keys\": [\n{}\n ]\n}}", fmt::join(keys, ",\n"));
}

std::string manifest_text() {
  return R"({
  "metadata": {"name": "workload", "description": "a model to measure with", "author": "notp-bench",
               "license": "Apache-2.0"},
  "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
  "partitions": {"/": {"runtime": "rego"}},
  "roots": ["authz", "data", "keys"]
}
)";
}

}  // namespace notp::bench
