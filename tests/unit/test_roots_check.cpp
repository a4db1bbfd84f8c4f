// The content of a release within its signed data roots: what is read for it, and what it costs.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <functional>

#include "protocol/model/roots.hpp"
#include "protocol/trust/roots_check.hpp"
#include "tests/support/registry/model_samples.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp {
namespace {

using Roots = std::vector<std::string>;

trust::Release owner_of(Roots roots) {
  trust::Release release = samples::release();
  release.data_roots = std::move(roots);
  return release;
}

// Counts what a check reads.
struct Counted {
  explicit Counted(const samples::Texts& texts) : content(samples::model_of(texts)) {}
  Result<void> check(const Roots& roots, const Counted* before = nullptr,
                     const Roots& before_roots = {}) {
    loads = 0;
    const auto inner = content.loader();
    const model::BlobLoader load = [&](const Hash& hash) {
      ++loads;
      return inner(hash);
    };
    trust::ConfinedContent held;
    if (before != nullptr) held = {before->content.tree.get(), &before_roots};
    return trust::check_roots(owner_of(roots), *content.tree, load, held);
  }
  model::ModelContent content;
  size_t loads = 0;
};

const samples::Texts kFiles = {
    {"manifest.json", "{}"},
    {"a/x.rego", "package a.x\n"},
    {"a/y.rego", "package a.y\n"},
    {"a/y_test.rego", "package anything\n"},
    {"a/data.json", "this is not read"},
    {"b/c/data.yaml", "nor: [this"},
    {"b/data.json", R"({"c":{"x":1}})"},
    {"tests/data.json", "nor this"},
};
const Roots kRoots = {"a", "b/c"};

TEST_CASE("only modules and documents above a root are read, and none that the base has") {
  Counted whole(kFiles);
  CHECK(whole.check(kRoots));
  CHECK(whole.loads == 3);
  CHECK(whole.check(kRoots, &whole, kRoots));
  CHECK(whole.loads == 0);
  CHECK(whole.check({"a", "b/c", "d"}, &whole, kRoots));
  CHECK(whole.loads == 0);

  samples::Texts files = kFiles;
  files["a/x.rego"] = "package a.other\n";
  files["a/z.rego"] = kFiles.at("a/y.rego");
  Counted next(files);
  CHECK(next.check(kRoots, &whole, kRoots));
  CHECK(next.loads == 2);
  // Less is owned: everything is checked again.
  CHECK(next.check({"a", "b"}, &whole, {"a", "b", "c"}));
  CHECK(next.loads == 3);
  CHECK_FALSE(next.check({"a/x", "b/c"}, &whole, kRoots));
}

TEST_CASE("the refusal names the file and the place, the owner and its roots") {
  samples::Texts files = kFiles;
  files["b/data.json"] = R"({"c":{"x":1},"d":{"y":2}})";
  const auto checked = Counted(files).check(kRoots);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().code == ErrorCode::kWrongTarget);
  for (const char* part : {"273165098782/payments v1", "a, b/c", "b/data.json", "data.b.d"})
    CHECK_MESSAGE(checked.error().message.contains(part), checked.error().message);
  for (const Roots& roots : {Roots{}, Roots{""}, Roots{"a", "b", "system"},
                             Roots{"a", "b", "system/notp"}, Roots{"a", "b", "system/x"}})
    CHECK(Counted(kFiles).check(roots).error().code == ErrorCode::kWrongTarget);
  CHECK(Counted(kFiles).check({"a", "b", "system/log"}));
}

TEST_CASE("a document as text and as a value: the same place is outside") {
  SeededRandom random(11);
  const model::DataRoots roots({"a/b", "a/c/d", "e"});
  static constexpr std::string_view kNames[] = {"a", "b", "c", "d", "e", "x"};
  const std::function<json::value(int)> make = [&](int depth) -> json::value {
    if (depth == 0 || random.below(6) == 0) {
      if (random.below(2) == 0) return json::array{json::object{{"a", 1}}, nullptr};
      return random.below(2) == 0 ? json::value("text") : json::value(0.5);
    }
    json::object out;
    for (uint64_t n = random.below(3); n-- > 0;) {
      const size_t shallow = depth == 4 ? 1 : depth == 3 ? 3 : 6;
      out[random.below(4) == 0 ? kNames[random.below(6)] : kNames[random.below(shallow)]] =
          make(depth - 1);
    }
    return out;
  };
  size_t within = 0, outside = 0;
  for (int i = 0; i < 20'000; ++i) {
    const json::value document = make(4);
    const model::DataPath at = random.below(4) == 0 ? model::DataPath{"a"} : model::DataPath{};
    const auto as_text = roots.outside_of_json(at, json::serialize(document));
    REQUIRE(as_text);
    REQUIRE(*as_text == roots.outside(at, document));
    ++(*as_text ? outside : within);
  }
  CHECK(within > 1'000);
  CHECK(outside > 1'000);
  for (const char* text :
       {"", "{", "{\"a\":{\"b\":[}}", "{} {}", "\xEF\xBB\xBF{}", "{\"a\":{\"b\":\"\xFF\"}}"})
    CHECK_FALSE(roots.outside_of_json({}, text));
}

TEST_CASE("what the check of an update of 15 MB costs") {
  SeededRandom random(7);
  samples::Texts files = {{"manifest.json", "{}"}};
  for (int i = 0; i < 3'000; ++i)
    files[fmt::format("a/p{}/m{}.rego", i % 50, i)] =
        fmt::format("# a policy\npackage a.p{}\n\nimport rego.v1\n", i % 50) +
        samples::random_text(random, 2'000);
  for (int i = 0; i < 9; ++i)
    files[fmt::format("a/d{}/data.json", i)] =
        fmt::format("\"{}\"", samples::random_text(random, 1 << 20));
  Counted before(files);
  for (int i = 0; i < 30; ++i) files[fmt::format("a/p{}/m{}.rego", i % 50, i)] += "# changed\n";
  files["a/d1/data.json"] = "1";
  Counted after(files);
  std::string top;
  for (int i = 0; i < 200'000; ++i)
    top +=
        fmt::format(R"({}"name {}":{{"role":"reader","n":{}}})", i == 0 ? "{\"a\":{" : ",", i, i);
  Counted above({{"data.json", top + "}}"}});
  const auto time = [](auto&& work) {
    const auto start = std::chrono::steady_clock::now();
    CHECK(work());
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  };
  const double delta_ms = time([&] { return after.check({"a"}, &before, {"a"}); });
  CHECK(after.loads == 30);
  const double whole_ms = time([&] { return after.check({"a"}); });
  CHECK(after.loads == 3'000);
  const double above_ms = time([&] { return above.check({"a"}); });
  MESSAGE(
      fmt::format("{} bytes: {:.2f} ms after a base, {:.2f} ms as a whole; {} bytes in a document "
                  "above the root: {:.0f} ms",
                  after.content.tree->total_bytes(), delta_ms, whole_ms,
                  above.content.tree->total_bytes(), above_ms));
}

}  // namespace
}  // namespace notp
