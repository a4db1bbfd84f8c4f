// Policies that use up time or memory: each as a separate rule, with an input that triggers it, and
// as a model's test.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/registry/model_folder.hpp"

namespace notp::bombs {

struct Bomb {
  std::string name;   // of its package, below "bombs"
  std::string does;   // the Rego body, of x
  std::string ruled;  // x computed by a rule, in Rego
  json::value given;  // x given by the input
  std::string right;  // the JSON of its value where it can be computed; empty: it cannot
};

inline std::string repeated(std::string_view text, size_t times) {
  std::string out;
  while (times-- > 0) out += text;
  return out;
}

// The same text in Rego, repeated `times` times.
inline std::string repeated_rego(std::string_view text, size_t times) {
  return fmt::format(R"(concat("", ["{}" | some _ in numbers.range(1, {})]))", text, times);
}

// A graph with an edge from every vertex to every other.
inline json::value full_graph(int vertices) {
  json::object graph;
  for (int from = 1; from <= vertices; ++from) {
    json::array& edges = graph[std::to_string(from)].emplace_array();
    for (int to = 1; to <= vertices; ++to)
      if (to != from) edges.emplace_back(std::to_string(to));
  }
  return graph;
}

// Each operation copies the whole document into itself.
inline json::value doublings(int times) {
  json::array operations;
  for (int i = 1; i <= times; ++i)
    operations.push_back({{"op", "copy"}, {"from", "/a"}, {"path", fmt::format("/a/{}", i)}});
  return operations;
}

inline std::vector<Bomb> kinds() {
  constexpr std::string_view kDigits = "0123456789abcdef", kZeros = "0000000000000000",
                             kLetters = "aaaaaaaaaaaaaaaa";
  constexpr size_t kInput = 60'000, kMegabyte = 65'536;  // pieces: an input is limited to 1 MiB
  const json::string digits(repeated(kDigits, kInput)), letters(repeated(kLetters, kInput)),
      zeros(repeated(kZeros, kInput));
  return {
      {"regex_replace", R"(count(regex.replace(x, "[0-9]", x)))", repeated_rego(kDigits, 200'000),
       digits, ""},
      {"replace_n", R"(count(strings.replace_n({"0": x, "1": x}, x)))",
       repeated_rego(kDigits, 200'000), digits, ""},
      {"reachable_paths", R"(count(graph.reachable_paths(x, {"1"})))",
       "{v: e | some n in numbers.range(1, 80); v := format_int(n, 10); "
       "e := [w | some m in numbers.range(1, 80); m != n; w := format_int(m, 10)]}",
       full_graph(80), ""},
      {"bits_lsh", "bits.lsh(1, x)", "10000000000", 10'000'000'000, ""},
      {"json_patch", R"(count(json.patch({"a": {"b": 0}}, x)))",
       R"([{"op": "copy", "from": "/a", "path": p} | some n in numbers.range(1, 40); )"
       R"(p := concat("/", ["/a", format_int(n, 10)])])",
       doublings(40), ""},
      {"indexof_n", R"(count(indexof_n(x, "0")) / count(x))", repeated_rego(kZeros, kMegabyte),
       zeros, "1"},
      {"loop",
       "count([1 | some a in numbers.range(1, x); some b in numbers.range(1, x); a * b < 0])",
       "1000000", 1'000'000, ""},
      {"result", "[x | some _ in numbers.range(1, 80)]", repeated_rego(kLetters, kMegabyte),
       letters, ""},
      {"gather", "count([[a, b] | some a in numbers.range(1, x); some b in numbers.range(1, x)])",
       "100000", 100'000, ""},
      {"regex_match", R"(regex.match("(a?){1000}b", x))", repeated_rego(kLetters, kMegabyte),
       letters, "false"},
  };
}

using Texts = std::map<std::string, std::string>;  // files by their path below the root

// Writes a model with one data root, named after the model. Returns its folder.
inline std::filesystem::path write_model(const Stack& stack, const std::string& name,
                                         const Texts& files) {
  const std::filesystem::path folder = stack.file("models") / name;
  empty_model_folder(folder);
  REQUIRE(write_file(
      folder / "manifest.json",
      fmt::format(
          R"({{"metadata": {{"name": "{0}"}}, "runtimes": {{"rego": {{"language": {{"name": "rego", "version": "1"}}}}}},
              "partitions": {{"/": {{"runtime": "rego"}}}}, "roots": ["{0}"]}})",
          name)));
  for (const auto& [path, text] : files) {
    const std::filesystem::path file = folder / name / path;
    REQUIRE(make_folders(file.parent_path()));
    REQUIRE(write_file(file, text));
  }
  return folder;
}

// A policy that is true for {"n": 1000000}.
inline std::string calm_policy(int64_t above) {
  return fmt::format("package calm\n\nallow if input.n > {}\n", above);
}

// All bombs: "bombs/<name>/ruled" with {"go": true}, "bombs/<name>/given" with {"x": …}.
inline std::filesystem::path write_bombs(const Stack& stack, int64_t release = 1) {
  Texts files{{"p.rego", fmt::format("package bombs\n\nrelease := {}\n", release)}};
  for (const Bomb& bomb : kinds())
    files[bomb.name + "/p.rego"] = fmt::format(
        "package bombs.{}\n\nbomb(x) := {}\n\nruled := bomb({}) if input.go\n\n"
        "given := bomb(input.x)\n\nfine if input.go\n",
        bomb.name, bomb.does, bomb.ruled);
  return write_model(stack, "bombs", files);
}

// The bomb in a test, beside one that passes. `round` makes each model different.
inline std::filesystem::path write_test_bomb(const Stack& stack, const Bomb& bomb, uint64_t round) {
  const std::string value = bomb.name == "result" ? "count(json.marshal(bomb(x)))" : "bomb(x)";
  return write_model(
      stack, "tests",
      {{"p.rego", fmt::format("package tests\n\nround := {}\n", round)},
       {"p_test.rego",
        fmt::format("package tests\n\n# Round {}.\nbomb(x) := {}\n\ntest_bomb if {{\n\tx := {}\n"
                    "\t{}{}\n}}\n\ntest_fine if round > 0\n",
                    round, bomb.does, bomb.ruled, value,
                    bomb.right.empty() ? "" : " == " + bomb.right)}});
}

}  // namespace notp::bombs
