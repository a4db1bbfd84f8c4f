// The same questions, asked of an agent with the embedded PDP and of unmodified OPAs with both
// feeds: the records are equal, but for what a table here names with its reason.
#include <doctest/doctest.h>

#include <array>
#include <map>
#include <random>

#include "tests/support/json_reference.hpp"
#include "tests/support/process/audit_site.hpp"
#include "tests/support/process/shop_model.hpp"
#include "tests/support/results.hpp"

namespace notp {
namespace {

using reference::Value;
using reference::ValuePtr;

constexpr uint64_t kSeed = 20'261'201;

// --- the model

std::filesystem::path write_shop(const Stack& stack) {
  return write_logged_shop(stack,
                           R"({"mask": ["/input/password", "/input/cards/*/number", "/result/token",
                           "/input/größe a;b",
                           {"op": "upsert", "path": "/input/phone", "value": "***"},
                           {"op": "commit", "path": "/input/iban"}],
                  "drop": ["shop/quiet"]})",
                           R"rego(package shop

allow if input.amount < 500

is_small := input.amount < 500

answer := {"allow": input.amount < 500, "token": input.password, "who": input.user}

echo := input

amounts := [input.amount, input.amount + 1, input.amount * 3]

clash := 1 if input.user

clash := 2 if input.amount

drawn := rand.intn(sprintf("%v", [input.q]), 1000000)

clock := {"now": time.now_ns(), "decision": true}

named := uuid.rfc4122(input.user)

verified := io.jwt.decode_verify(input.jwt, {"secret": "h4sh-key"})

signed := io.jwt.encode_sign({"alg": "HS256"}, {"q": input.q}, {"kty": "oct", "k": "aDRzaC1rZXk"})

# Two tokens that differ in their signatures alone: the log cannot tell them apart.
both := [io.jwt.decode_verify(concat(".", [text, signature]), {"secret": "h4sh-key"})[0] |
	text := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ"
	some signature in ["_s2-G6OJ_-PPq1YLnlhcnfPGRPCNMxXrmNET7QDxfrA", "c2lnbmF0dXJl"]
]

parsed := to_number(input.user)

masked_wrongly := input.amount

quiet := input.amount < 500

silent := input.amount < 500
)rego",
                           R"rego(package system.log

mask contains "/input/note"

mask contains {"op": "upsert", "path": "/input/pin", "value": {"of": 4}}

mask contains {"op": "what", "path": "/input/user"} if input.path == "shop/masked_wrongly"

drop if input.path == "shop/silent"
)rego");
}

// --- the questions

struct AskedQuestion {
  std::string method = "POST", target, body;
  // What it is about, if it is recorded.
  std::string path;
  bool is_recorded = true;
};

class Questions {
 public:
  explicit Questions(uint64_t seed) : random_(seed) {}

  AskedQuestion next() {
    static constexpr std::array<std::string_view, 18> kRules = {
        "allow",    "allow",  "is_small",       "answer", "answer", "echo",
        "amounts",  "clash",  "drawn",          "clock",  "named",  "parsed",
        "verified", "no/way", "masked_wrongly", "signed", "both",   "quiet"};
    AskedQuestion out;
    const size_t at = below(kRules.size() + 3);
    if (at < kRules.size())
      out.path = fmt::format("shop/{}", kRules[at]);
    else
      out.path = at == kRules.size() ? "shop/silent" : at == kRules.size() + 1 ? "shop" : "away";
    out.is_recorded = out.path != "shop/quiet" && out.path != "shop/silent";
    const std::string value = input();
    switch (below(12)) {
      case 0:
        out.body = "{}";
        break;
      case 1:
        out.body = R"({"input":null})";
        break;
      case 2:
        out.target = "v0/data/";
        out.body = value;
        break;
      case 3:
        out.method = "GET";
        break;
      default:
        out.body = fmt::format(R"({{"input":{}}})", value);
    }
    out.target = (out.target.empty() ? "v1/data/" : out.target) + out.path;
    if (below(10) == 0 && out.target.starts_with("v1")) out.target += "?strict-builtin-errors=true";
    ++number_;
    return out;
  }

 private:
  size_t below(size_t end) { return random_() % end; }
  template <size_t N>
  std::string pick(const std::array<std::string_view, N>& from) {
    return std::string(from[below(N)]);
  }

  std::string number() {
    return pick<10>({"1", "499", "500", "1.0", "0.10", "-0", "1e3", "12345678901234567890123",
                     "3.14159265358979323846264338", "-7.5E-3"});
  }
  std::string text() {
    return pick<10>({R"("ana")", R"("")", R"("42")", R"("größe")", R"("<b>&\"quoted\"</b>")",
                     R"("\u2028line\u0000nul")", R"("👩‍👩‍👧")",
                     R"("\ud83d\ude00 escaped")", R"("a\/b\\c")", R"("日本語 \t tab")"});
  }
  std::string value(size_t depth) {
    switch (below(depth == 0 ? 4 : 6)) {
      case 0:
        return number();
      case 1:
        return pick<3>({"true", "false", "null"});
      case 4: {
        std::string out = "[";
        for (size_t i = below(4); i > 0; --i) out += value(depth - 1) + (i > 1 ? ", " : "");
        return out + "]";
      }
      case 5: {
        std::string out = "{";
        for (size_t i = below(4); i > 0; --i)
          out += fmt::format(R"("{}k{}": {}{})", i % 2 == 0 ? "z" : "a ", i, value(depth - 1),
                             i > 1 ? "," : "");
        return out + "}";
      }
      default:
        return text();
    }
  }
  std::string input() {
    std::string out =
        fmt::format(R"({{"q": {}, "amount": {}, "user": {})", number_, number(), text());
    const auto add = [&](std::string_view member) {
      if (below(2) == 0) out += fmt::format(",{}", member);
    };
    add(fmt::format(R"("nested": {})", value(3)));
    add(R"("password": "p4ss")");
    add(R"("note" : "n0te")");
    add(R"("pin": 1234)");
    add(R"("phone": "+49 30")");
    add(R"("iban":"DE02120300000000202051")");
    add(R"("größe a;b": 12)");
    add(R"("cards": [{"number": "4111", "kind": "visa"}, {"kind": "none"}, {"number": 7}])");
    add(R"("headers": {"Authorization": "Bearer abc", "Cookie": ["a", "b"], "X": "y"})");
    add(R"("jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl")");
    return out + "}";
  }

  std::mt19937_64 random_;
  size_t number_ = 0;
};

// --- the site

struct Node {
  std::string kind;
  AskedPdp pdp;
};

class Comparison {
 public:
  AuditSite site;
  const std::array<Node, 3> nodes = {
      {{"embedded", site.start_pdp("edge", kShop, "")},
       {"OPA, file", site.start_pdp("edge-file", kShop, "file")},
       {"OPA, service", site.start_pdp("edge-service", kShop, "service")}}};

  Comparison() {
    const int64_t version = site.stack.published(write_shop(site.stack), kShop);
    for (const Node& node : nodes)
      REQUIRE(site.stack.becomes_active(*node.pdp.agent, kShop, version));
  }

  // Asks all nodes; the answers have equal status.
  void ask(const AskedQuestion& question) {
    unsigned status = 0;
    for (const Node& node : nodes) {
      const auto answer =
          http::call_blocking({.method = question.method,
                               .url = fmt::format("{}/{}", node.pdp.url(), question.target),
                               .headers = {{"Content-Type", "application/json"}},
                               .body = question.body,
                               .deadline_ms = 20'000});
      REQUIRE_MESSAGE(answer, answer.error().message);
      if (status == 0) status = answer->status;
      CHECK_MESSAGE(answer->status == status, question.target << " " << question.body << " at "
                                                              << node.kind << ": " << answer->body);
    }
    if (question.is_recorded)
      recorded.push_back(question);
    else
      ++left_out;
  }

  // The lines of an export, for this node.
  std::vector<ValuePtr> export_of(const Node& node, const std::string& format) {
    texts_.push_back(std::make_unique<std::string>(
        site.exported({"--node", node.pdp.agent->name(), "--format", format})));
    std::vector<ValuePtr> out;
    std::string_view rest = *texts_.back();
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      out.push_back(reference::read(rest.substr(0, end)));
      REQUIRE(out.back());
      rest.remove_prefix(end + 1);
    }
    return out;
  }
  // Waits for everything that was asked.
  std::vector<ValuePtr> decisions_of(const Node& node) {
    std::vector<ValuePtr> out;
    CHECK(wait_until([&] {
      out = export_of(node, "opa");
      return out.size() >= recorded.size();
    }));
    return out;
  }

  std::vector<AskedQuestion> recorded;
  size_t left_out = 0;

 private:
  // What the values refer to.
  std::vector<std::unique_ptr<std::string>> texts_;
};

// --- comparing

using Fields = std::map<std::string, ValuePtr>;

Fields fields_of(const Value& event) {
  constexpr std::array<std::string_view, 6> kSplit = {"notp",    "metrics", "labels",
                                                      "bundles", "error",   "nd_builtin_cache"};
  Fields out;
  for (const auto& [name, member] : event.members) {
    if (std::ranges::find(kSplit, name) == kSplit.end() || !member->object) {
      out[name] = member;
      continue;
    }
    for (const auto& [inner, value] : member->members)
      out[fmt::format("{}.{}", name, inner)] = value;
  }
  return out;
}

// The two records of one question; nullptr: the field is absent.
struct Pair {
  const AskedQuestion& question;
  const Fields &ours, &theirs;
  bool is_file = false;  // the feed of theirs
  const Value *own, *other;

  // Both have it.
  bool is_in_both() const { return own != nullptr && other != nullptr; }
  bool is_ours_alone() const { return own != nullptr && other == nullptr; }
  bool is_theirs_alone() const { return own == nullptr && other != nullptr; }
  bool is_about(std::string_view rule) const {
    return question.path == "shop" || question.path == fmt::format("shop/{}", rule);
  }
};

// Of an object's members, or the texts of an array.
std::vector<std::string> names_in(const Value& value) {
  std::vector<std::string> out;
  for (const ValuePtr& each : value.elements) out.push_back(each->string());
  for (const auto& [name, each] : value.members) out.push_back(name);
  std::ranges::sort(out);
  return out;
}

bool has_same_names(const Pair& pair) {
  return pair.is_in_both() && names_in(*pair.own) == names_in(*pair.other);
}

bool names_same_pointers(const Pair& pair) {
  const auto pointers_in = [](const Value& commitments) {
    std::set<std::string> out;
    for (const ValuePtr& each : commitments.elements)
      out.insert(each->members.at("pointer")->string());
    return out;
  };
  return pair.is_in_both() && pointers_in(*pair.own) == pointers_in(*pair.other);
}

// Elements of an array of credentials are named by ours, the array by theirs.
bool masks_same_values(const Pair& pair) {
  if (!pair.is_in_both()) return false;
  std::set<std::string> own, other;
  for (const std::string& name : names_in(*pair.own)) {
    const size_t cookie = name.find("/Cookie/");
    own.insert(cookie == name.npos ? name : name.substr(0, cookie) + "/Cookie");
  }
  for (const std::string& name : names_in(*pair.other)) other.insert(name);
  return own == other;
}

bool depends_on_clock_or_chance(const Pair& pair) {
  return pair.is_in_both() &&
         (pair.is_about("clock") || pair.is_about("drawn") || pair.is_about("named"));
}

bool is_of_undefined_plain_data(const Pair& pair) {
  return pair.is_theirs_alone() && pair.question.target.starts_with("v0/") &&
         pair.theirs.at("notp.outcome")->string() == "undefined";
}

struct Difference {
  std::string_view field, why;
  bool (*is_right)(const Pair&);
};

// All that may differ. What is not here is equal.
const std::array kDifferences = {
    Difference{"decision_id", "ours is the record's address, OPA makes a random one",
               [](const Pair& pair) { return pair.is_in_both(); }},
    Difference{"labels.id", "the node", [](const Pair& pair) { return pair.is_in_both(); }},
    Difference{"notp.node", "the node", [](const Pair& pair) { return pair.is_in_both(); }},
    Difference{"notp.log", "the node's log", [](const Pair& pair) { return pair.is_in_both(); }},
    Difference{"notp.position", "its place there: records between decisions come as they come",
               [](const Pair& pair) { return pair.is_in_both(); }},
    Difference{"labels.version", "of an OPA the node learns no version",
               [](const Pair& pair) { return pair.is_ours_alone(); }},
    Difference{"timestamp", "when it was decided",
               [](const Pair& pair) { return pair.is_in_both(); }},
    Difference{"metrics.timer_rego_query_eval_ns", "how long it took",
               [](const Pair& pair) { return pair.is_in_both(); }},
    Difference{"metrics.timer_server_handler_ns", "how long it took",
               [](const Pair& pair) { return pair.is_in_both(); }},
    Difference{"notp.engine", "who decided",
               [](const Pair& pair) {
                 return pair.own->string() == "embedded" && pair.other->string() == "opa";
               }},
    Difference{"notp.api", "OPA's event does not name its API",
               [](const Pair& pair) {
                 const bool is_plain = pair.question.target.starts_with("v0/");
                 return pair.own->string() == (is_plain ? "plain_data" : "data") &&
                        pair.other->string() == "opa";
               }},
    Difference{"notp.pep", "OPA knows no peer",
               [](const Pair& pair) { return pair.is_ours_alone(); }},
    Difference{"requested_by", "OPA names the caller only when it logs requests",
               [](const Pair& pair) { return pair.is_ours_alone(); }},
    Difference{"notp.eval_time_ns", "OPA records the clock only for a policy that reads it",
               [](const Pair& pair) {
                 return pair.own != nullptr && (pair.other == nullptr || pair.is_about("clock"));
               }},
    Difference{"result", "the clock, and chance", depends_on_clock_or_chance},
    Difference{"nd_builtin_cache.time.now_ns", "the clock", has_same_names},
    Difference{"nd_builtin_cache.rand.intn", "chance", has_same_names},
    Difference{"nd_builtin_cache.uuid.rfc4122", "chance", has_same_names},
    Difference{"erased", "OPA's masks are sets: another order", has_same_names},
    Difference{"masked", "another order; of an array of credentials ours names the elements",
               masks_same_values},
    Difference{"notp.commitments", "salts are random", names_same_pointers},
    Difference{"notp.withheld",
               "each names the invalid mask in its words; OPA's log must not hold the values, so "
               "nobody can hash them",
               [](const Pair& pair) {
                 return pair.is_about("masked_wrongly") &&
                        pair.own->text.contains(R"("reason":"mask_failed")") &&
                        pair.other->text.contains(R"("reason":"mask_failed")") &&
                        !pair.other->text.contains("sha256");
               }},
    Difference{"error.errors", "in OPA's file an error is a text, without its place in the policy",
               [](const Pair& pair) {
                 return (pair.is_ours_alone() && pair.is_file) || is_of_undefined_plain_data(pair);
               }},
    Difference{"error.code", "OPA calls a document that is not there an error of /v0",
               is_of_undefined_plain_data},
    Difference{"error.message", "the same", is_of_undefined_plain_data},
};

class Judge {
 public:
  void judge(const AskedQuestion& question, const Fields& ours, const Fields& theirs,
             bool is_file) {
    std::set<std::string> names;
    for (const Fields* fields : {&ours, &theirs})
      for (const auto& [name, value] : *fields) names.insert(name);
    for (const std::string& name : names) {
      const auto find = [&](const Fields& fields) {
        const auto found = fields.find(name);
        return found == fields.end() ? nullptr : found->second.get();
      };
      const Pair pair{question, ours, theirs, is_file, find(ours), find(theirs)};
      ++compared_;
      if (pair.is_in_both() && canonical(*pair.own) == canonical(*pair.other)) continue;
      const auto known = std::ranges::find(kDifferences, name, &Difference::field);
      const bool is_allowed = known != kDifferences.end() && known->is_right(pair);
      if (is_allowed) seen_.insert(known->field);
      CHECK_MESSAGE(is_allowed, name << " of " << question.method << " " << question.target << " "
                                     << question.body
                                     << "\n  ours:   " << (pair.own ? pair.own->text : "none")
                                     << "\n  theirs: " << (pair.other ? pair.other->text : "none"));
    }
  }
  // What differs never need not be allowed.
  void finish() const {
    for (const Difference& each : kDifferences)
      CHECK_MESSAGE(seen_.contains(each.field), "no record differs in " << each.field);
  }
  size_t compared() const { return compared_; }

 private:
  size_t compared_ = 0;
  std::set<std::string_view> seen_;
};

// Counts of what was left out, by path, outcome and rule.
std::map<std::string, int64_t> left_out(const std::vector<ValuePtr>& records) {
  std::map<std::string, int64_t> out;
  for (const ValuePtr& record : records)
    if (const Value* counts = record->member("notp")->member("counts"))
      for (const ValuePtr& each : counts->elements)
        out[fmt::format("{} {} {}", each->member("path")->string(),
                        each->member("outcome")->string(), each->member("rule")->string())] +=
            std::stoll(each->member("count")->scalar);
  return out;
}

// The policy's keys are arguments of what it calls.
void check_no_key(std::string_view text) {
  CHECK_FALSE(text.empty());
  for (const std::string_view key : {"h4sh-key", "aDRzaC1rZXk"}) CHECK_FALSE(text.contains(key));
}

TEST_CASE("an unmodified OPA and the embedded PDP leave equal records of equal questions") {
  Comparison comparison;
  Questions questions(kSeed);
  const size_t asked = count_of("NOTP_COMPARED_QUESTIONS", 400);
  for (size_t i = 0; i < asked; ++i) comparison.ask(questions.next());
  const auto& recorded = comparison.recorded;

  std::array<std::vector<ValuePtr>, 3> events;
  std::array<std::map<std::string, int64_t>, 3> drops;
  for (size_t node = 0; node < events.size(); ++node) {
    const Node& from = comparison.nodes[node];
    CAPTURE(from.kind);
    events[node] = comparison.decisions_of(from);
    REQUIRE(events[node].size() == recorded.size());
    // Counts of what was dropped come with the next segment.
    CHECK(wait_until([&] {
      drops[node] = left_out(comparison.export_of(from, "jsonl"));
      int64_t all = 0;
      for (const auto& [what, count] : drops[node]) all += count;
      return all == static_cast<int64_t>(comparison.left_out);
    }));
    // The same lines, and the records between them.
    std::vector<ValuePtr> decisions = comparison.export_of(from, "jsonl");
    std::erase_if(decisions, [](const ValuePtr& record) {
      return record->member("notp")->member("kind")->string() != "decision";
    });
    REQUIRE(decisions.size() == recorded.size());
    for (size_t i = 0; i < recorded.size(); ++i) {
      CHECK(decisions[i]->text == events[node][i]->text);
      check_no_key(decisions[i]->text);
    }
  }
  check_no_key(read_text(comparison.site.stack.file(comparison.nodes[1].pdp.agent->name() +
                                                    ".data/opa-decisions/decisions.log")));
  CHECK(drops[1] == drops[0]);
  CHECK(drops[2] == drops[0]);

  Judge judge;
  for (size_t i = 0; i < recorded.size(); ++i) {
    const Fields ours = fields_of(*events[0][i]);
    for (size_t node = 1; node < events.size(); ++node)
      judge.judge(recorded[i], ours, fields_of(*events[node][i]), node == 1);
  }
  judge.finish();
  record_result(
      "records of an OPA beside those of the embedded PDP",
      fmt::format("{} questions to three nodes, seed {}, {} dropped by a rule; {} fields", asked,
                  kSeed, comparison.left_out, judge.compared()),
      fmt::format("equal, but for {} kinds of differences that are known", kDifferences.size()));
}

}  // namespace
}  // namespace notp
