// What model::package_of() reads of a module, beside the parser of OPA: it may refuse more, and
// must never see another package.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>

#include "common/json/json.hpp"
#include "common/random.hpp"
#include "common/rego/host/process_checker.hpp"
#include "protocol/model/package.hpp"
#include "tests/support/agent/rego_engine.hpp"

namespace notp::rego {
namespace {

using namespace std::string_view_literals;

// What stands before `package`, between it and the path, and so on. The first ones of each list are
// as people write them.
constexpr std::array kFronts = {""sv,
                                "# a policy\n"sv,
                                "\n\n"sv,
                                "\xEF\xBB\xBF"sv,
                                "#\r\n\t"sv,
                                "# METADATA\n# title: t\n"sv,
                                "# package c\n"sv,
                                "#\rpackage c\n"sv,
                                "#\xE2\x80\xA8package c\n"sv,
                                "\xEF\xBB\xBF\xEF\xBB\xBF"sv,
                                "\f"sv,
                                "\v"sv,
                                "\xC2\xA0"sv,
                                "\xC2\x85"sv,
                                "\xE2\x80\xA8"sv,
                                "\0"sv,
                                "#\0\n"sv,
                                "#\xFF\n"sv,
                                "x := 1\n"sv,
                                "package c\n"sv,
                                "import rego.v1\n"sv,
                                ";"sv,
                                "/* c */"sv,
                                "`"sv,
                                "\"package c\"\n"sv,
                                "\xFF"sv,
                                "# c"sv,
                                "\r"sv,
                                "\\\n"sv};
constexpr std::array kWords = {"package"sv,  "package"sv,  "package"sv,
                               "package"sv,  "Package"sv,  "packag"sv,
                               "packages"sv, "package_"sv, "pack\xC3\xA4ge"sv};
constexpr std::array kGaps = {" "sv,      "  "sv,     "\t"sv,       "\n"sv, "\r\n"sv,
                              " # c\n"sv, "#c\n  "sv, " #\r c\n"sv, ""sv,   "\xC2\xA0"sv,
                              "\f"sv,     "\\\n"sv,   "#c"sv,       "."sv,  "("sv};
constexpr std::array kNames = {"a"sv,
                               "authz"sv,
                               "_a"sv,
                               "A1_b"sv,
                               "data"sv,
                               "input"sv,
                               "rego"sv,
                               "future"sv,
                               "if"sv,
                               "in"sv,
                               "every"sv,
                               "contains"sv,
                               "some"sv,
                               "not"sv,
                               "true"sv,
                               "null"sv,
                               "package"sv,
                               "import"sv,
                               "default"sv,
                               "else"sv,
                               "as"sv,
                               "with"sv,
                               "_"sv,
                               "1a"sv,
                               "a\xD9\xA3"sv,
                               "\xC3\xA9"sv,
                               "a\xC3\xA9"sv,
                               "a\xCC\x81"sv,
                               "a\xEF\xBC\x91"sv,
                               "a-b"sv,
                               "\"a\""sv,
                               "`a`"sv,
                               "a\xE2\x80\x8B"sv,
                               "and"sv,
                               "or"sv,
                               "$a"sv,
                               "a\0"sv,
                               "system"sv,
                               ""sv};
constexpr std::array kParts = {".b"sv,
                               "[\"b\"]"sv,
                               "[\"b.c\"]"sv,
                               "[\"b-c/d\"]"sv,
                               ".if"sv,
                               ".package"sv,
                               "[`b`]"sv,
                               "[ \"b\" ]"sv,
                               "[\n\"b\"\n]"sv,
                               "[#c\n\"b\"#]\n]"sv,
                               "[\"\\u0062\"]"sv,
                               "[\"\\\"]\"]"sv,
                               "[\"\\\\\"]"sv,
                               "[\"\"]"sv,
                               "[``]"sv,
                               "[\"\xC3\xA9\"]"sv,
                               "[\"\\u00e9\"]"sv,
                               "[\"\\ud83d\\ude00\"]"sv,
                               "[\"\\ud83d\"]"sv,
                               "[\"\\ude00x\"]"sv,
                               "[\"\\u00\"]"sv,
                               "[\"\\x62\"]"sv,
                               "[\"b\tc\"]"sv,
                               "[\"\\tb\tc\"]"sv,
                               "[\"b\nc\"]"sv,
                               "[\"b\rc\"]"sv,
                               "[\"\\/\"]"sv,
                               "[`b\nc`]"sv,
                               "[`b\r\nc`]"sv,
                               "[`\\u0062`]"sv,
                               "[`\"`]"sv,
                               "[\"`\"]"sv,
                               "[b]"sv,
                               "[1]"sv,
                               "[true]"sv,
                               "[_]"sv,
                               "[]"sv,
                               "[\"b\", \"c\"]"sv,
                               "[\"b\" | x]"sv,
                               "[\"b\"+\"c\"]"sv,
                               "[(\"b\")]"sv,
                               "[[\"b\"]]"sv,
                               "[$\"b\"]"sv,
                               "[$`b`]"sv,
                               "[\"b\".c]"sv,
                               "[\"b\"[\"c\"]]"sv,
                               "[\"b\" in x]"sv,
                               ". b"sv,
                               " .b"sv,
                               "\n.b"sv,
                               ".#c\nb"sv,
                               "#c\n.b"sv,
                               "#c\n[\"b\"]"sv,
                               " [\"b\"]"sv,
                               "\n[\"b\"]"sv,
                               "..b"sv,
                               "."sv,
                               ".1"sv,
                               "._"sv,
                               ".b\xD9\xA3"sv,
                               ".\"b\""sv,
                               "[\"b\""sv,
                               "[\"b"sv,
                               "[`b"sv,
                               "(\"b\")"sv,
                               "()"sv,
                               "{\"b\"}"sv,
                               "[\"\\u0000\"]"sv,
                               "[\"\0\"]"sv,
                               "[\"\xFF\"]"sv,
                               "[\"\xEF\xBB\xBF\"]"sv,
                               "[\"\xED\xA0\x80\"]"sv,
                               "[\"\\\nb\"]"sv,
                               "[\"b\"\xC2\xA0]"sv};
constexpr std::array kEnds = {"\n"sv,
                              ""sv,
                              "\n\nallow := true\n"sv,
                              " # c\n"sv,
                              "#c"sv,
                              "\r\n\r\nx := 1\r\n"sv,
                              "\n\nimport rego.v1\n\nx := 1\n"sv,
                              "\n\nimport future.keywords\n"sv,
                              " x := 1"sv,
                              ";"sv,
                              ";x := 1"sv,
                              "; package c"sv,
                              "\npackage c\n"sv,
                              "\rpackage c\n"sv,
                              " package c"sv,
                              "-"sv,
                              " - 1"sv,
                              "/c"sv,
                              "/* c */"sv,
                              "{"sv,
                              " if true"sv,
                              " := 1"sv,
                              "\n:= 1"sv,
                              "=1"sv,
                              ","sv,
                              "\f"sv,
                              "\0"sv,
                              "\xC2\xA0"sv,
                              "\xE2\x80\xA8"sv,
                              "\xD9\xA3"sv,
                              "\xFF"sv,
                              "\x1A"sv,
                              " as d"sv,
                              "`"sv,
                              "\n`"sv,
                              "]"sv};

template <size_t N>
std::string_view pick(Random& random, const std::array<std::string_view, N>& from, size_t usual) {
  return from[random.below(random.below(3) == 0 ? N : usual)];
}

std::string module_text(Random& random) {
  std::string text;
  for (uint64_t n = random.below(3); n-- > 0;) text += pick(random, kFronts, 7);
  text += pick(random, kWords, 4);
  text += pick(random, kGaps, 8);
  text += pick(random, kNames, 8);
  for (uint64_t n = random.below(4); n-- > 0;) text += pick(random, kParts, 16);
  text += pick(random, kEnds, 8);
  if (random.below(4) == 0 && !text.empty()) {
    const size_t at = random.below(text.size());
    static constexpr std::string_view kBytes = " \n\r\t#\"`\\[].;_a1-\xC2\xA0\xEF\xBB\xBF\xFF";
    if (random.below(2) == 0)
      text.erase(at, 1 + random.below(2));
    else
      text.insert(at, 1, kBytes[random.below(kBytes.size())]);
  }
  return text;
}

struct Compared {
  size_t same = 0, other = 0, refused_here = 0, refused_by_opa = 0;
  std::map<std::string, size_t> examples;  // that OPA alone reads
};

void compare(ProcessChecker& checker, const std::vector<std::string>& texts, uint8_t version,
             Compared& out) {
  ContentShelf contents;
  CheckRequest request;
  request.needs_only = true;
  request.load = contents.loader();
  const auto path_of = [](size_t i) { return fmt::format("m/{:05}.rego", i); };
  for (size_t i = 0; i < texts.size(); ++i)
    request.modules.push_back({path_of(i), contents.put(texts[i]), texts[i].size(), version});
  const auto report = checker.check(request);
  REQUIRE_MESSAGE(report, report.error().message);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto opa = report->packages.find(path_of(i));
    const auto ours = model::package_of(texts[i]);
    if (opa == report->packages.end()) {
      ++out.refused_by_opa;
    } else if (!ours) {
      ++out.refused_here;
      if (out.examples.size() < 400) ++out.examples[json::serialize(json::value(texts[i]))];
    } else if (*ours == opa->second) {
      ++out.same;
    } else {
      ++out.other;
      CAPTURE(version);
      FAIL_CHECK(json::serialize(json::value(texts[i])), ": OPA reads ",
                 model::data_path_text(opa->second), ", we read ", model::data_path_text(*ours));
    }
  }
}

}  // namespace

TEST_CASE("a package is the one that OPA reads, or is refused") {
  CheckerOptions options;
  options.worker = worker_program();
  ProcessChecker checker(options);
  SeededRandom random(20'261'130);
  const char* const rounds = std::getenv("NOTP_PACKAGE_ROUNDS");
  Compared compared;
  for (int round = rounds != nullptr ? std::atoi(rounds) : 2; round-- > 0;) {
    std::vector<std::string> texts;
    while (texts.size() < 5'000) texts.push_back(module_text(random));
    for (const uint8_t version : {uint8_t{0}, uint8_t{1}})
      compare(checker, texts, version, compared);
  }
  MESSAGE(compared.same, " the same, ", compared.other, " others, ", compared.refused_here,
          " that OPA alone reads, ", compared.refused_by_opa, " that OPA refuses");
  if (std::getenv("NOTP_PACKAGE_SHOW") != nullptr)
    for (const auto& [text, count] : compared.examples) MESSAGE(text);
  CHECK(compared.other == 0);
  // The corpus is worth something on both sides.
  CHECK(compared.same > 2'000);
  CHECK(compared.refused_by_opa > 2'000);
}

TEST_CASE("what OPA reads and people write is not refused") {
  CheckerOptions options;
  options.worker = worker_program();
  ProcessChecker checker(options);
  std::vector<std::string> texts;
  for (size_t front = 0; front < 7; ++front)
    for (size_t gap = 0; gap < 8; ++gap)
      for (size_t name = 0; name < 8; ++name)
        for (size_t part = 0; part < 16; ++part)
          texts.push_back(fmt::format("{}package{}{}{}{}", kFronts[front], kGaps[gap], kNames[name],
                                      kParts[part], kEnds[(front + gap + part) % 8]));
  Compared compared;
  compare(checker, texts, 1, compared);
  CHECK(compared.same > texts.size() / 2);
  CHECK(compared.refused_here == 0);
}

}  // namespace notp::rego
