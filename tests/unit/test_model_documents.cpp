// Documents that were validated before: the report equals that of a first validation, whatever
// changed around them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "notp-server/publish/validated_documents.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/registry/model_samples.hpp"

using namespace notp;

namespace {

using samples::Texts;

// Larger than kSmallFileBytesMax, with something to find.
std::string large(int limit, std::string_view more = "") {
  return fmt::format(R"({{"limit": {}{}, "rows": ["{:0>70000}"]}})", limit, more, 1);
}

Texts sample_model() {
  return {
      {"manifest.json",
       R"({"metadata": {"name": "m"}, "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
             "partitions": {"/": {"runtime": "rego"}}, "roots": ["app", "other"]})"},
      {"app/p.rego", "package app\n\nallow if data.app.big.limit == 7\n"},
      {"app/p_test.rego", "package app_test\n"},
      {"app/big/data.json", large(7)},
      {"other/data.json", R"({"x": 1})"}};
}

// `base`: the previous version, whose content a registry also has.
std::string told(const Texts& texts, publish::ValidatedDocuments* before,
                 const Texts* base = nullptr) {
  const model::ModelContent content = samples::model_of(texts);
  model::ModelContent earlier;
  if (base != nullptr) earlier = samples::model_of(*base);
  const model::BlobLoader load = [&](const Hash& hash) -> Result<model::Content> {
    const auto found = content.blobs.find(hash);
    return found != content.blobs.end() ? found->second : earlier.loader()(hash);
  };
  const auto report = model::validate_model(*content.tree, load, &test_checker(),
                                            {.known = before, .before = earlier.tree.get()});
  REQUIRE(report);
  return model::findings_text(report->findings) +
         fmt::format("{} {} {}", report->tests.passed, report->tests.failed, report->tests.skipped);
}

}  // namespace

TEST_CASE("a model is judged alike, with its large documents in memory and without") {
  Texts base = sample_model();
  base["app/p_test.rego"] = "package app\n\ntest_limit if allow\n";
  const auto changed = [&](const Texts& changes) {
    Texts out = base;
    for (const auto& [path, text] : changes) {
      if (text.empty())
        out.erase(path);
      else
        out[path] = text;
    }
    return out;
  };
  const Texts cases[] = {
      base,
      changed({{"app/p.rego", "package app\n\nallow if data.app.big.limit == 8\n"}}),  // test fails
      changed({{"app/big/data.json", large(8)}}),                                      // so it does
      changed({{"app/big/data.json", large(7, R"(, "y": 2)")}}),
      changed({{"app/big/data.json", "{" + large(7)}}),  // no JSON
      changed({{"app/big/limit/data.json", "3"}}),       // clashes inside of it
      changed({{"app/data.json", R"({"big": {"z": 1}})"}}),
      changed({{"app/data.json", R"({"big": 1})"}}),
      changed({{"app/big/data.yaml", "limit: 9\n"}}),
      changed({{"app/big/data.json", ""}, {"app/large/data.json", large(7)}}),
      changed({{"data.json", R"({"app": {"big": {"limit": 1}}})"}}),
      changed({{"manifest.json",
                base.at("manifest.json").substr(0, base.at("manifest.json").find("\"roots\"")) +
                    R"("roots": ["other"]})"}}),  // outside of the roots now
      changed({{"keys/big/data.json", large(7)}}),
      changed({{"app/p.rego", "package app\n\nallow if {\n"}}),
  };
  publish::ValidatedDocuments kept;
  CHECK(told(base, &kept) == "1 0 0");
  CHECK(kept.knows("app/big/data.json", model::blob_hash(base.at("app/big/data.json"))));
  for (const Texts& first : cases)
    for (const Texts& then : cases) {
      publish::ValidatedDocuments before;
      CHECK(told(first, &before) == told(first, nullptr));
      CHECK(told(then, &before, &first) == told(then, nullptr));
      CHECK(told(base, &before, &then) == told(base, nullptr));
    }
}

TEST_CASE("what is known is one content at one place, and the oldest is forgotten") {
  const Hash one = sha256("one"), two = sha256("two");
  publish::ValidatedDocuments documents(2);
  documents.keep("a", one);
  CHECK(documents.knows("a", one));
  CHECK_FALSE(documents.knows("a", two));
  CHECK_FALSE(documents.knows("b", one));
  documents.keep("b", two);
  documents.keep("b", two);
  CHECK(documents.knows("a", one));
  documents.keep("c", one);
  CHECK_FALSE(documents.knows("b", two));
  CHECK(documents.knows("a", one));
  CHECK(documents.knows("c", one));
}
