// A registry that serves several models, one ledger each, to an agent with the embedded PDP and to
// an agent with an unmodified OPA; compares the answers of all three PDPs to the same question.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <regex>

#include "common/storage/files.hpp"
#include "tests/support/process/curl.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/registry/model_folder.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

using ModelTexts = std::map<std::string, std::string>;

// Logged decisions have a decision id.
inline std::string without_decision_id(const std::string& body) {
  static const std::regex kMember(R"("decision_id":\s*"[0-9a-f-]{36}",?\s*)");
  return std::regex_replace(body, kMember, "");
}

class DecisionSite {
 public:
  Stack stack;
  Agent* embedded = nullptr;
  Agent* fed = nullptr;
  std::unique_ptr<Opa> opa;

  // With the ledgers 100000000000/<name>.
  explicit DecisionSite(const std::vector<std::string>& names, const json::object& more = {}) {
    stack.start_registry();
    opa = std::make_unique<Opa>(stack, free_port());
    std::vector<std::string> ledgers;
    for (const std::string& name : names) ledgers.push_back(ledger(name));
    embedded = &stack.start_agent({.name = "edge-1", .ledgers = ledgers, .more = more});
    fed = &stack.start_agent({.name = "edge-2",
                              .ledgers = ledgers,
                              .pdp = "opa",
                              .opa_port = opa->port(),
                              .more = more});
    opa->start(*fed);
  }

  static std::string ledger(const std::string& name) { return "100000000000/" + name; }

  // A model whose data root is its name, plus `roots`; a manifest among `files` is used instead.
  std::filesystem::path write_model(const std::string& name, ModelTexts files,
                                    const std::string& roots = "") const {
    const std::filesystem::path folder = stack.file("models") / name;
    empty_model_folder(folder);
    files.try_emplace("manifest.json", fmt::format(R"({{
      "metadata": {{"name": "{0}"}}, "runtimes": {{"rego": {{"language": {{"name": "rego", "version": "1"}}}}}},
      "partitions": {{"/": {{"runtime": "rego"}}}}, "roots": ["{0}"{1}]}})",
                                                   name, roots.empty() ? "" : ", " + roots));
    for (const auto& [path, text] : files) {
      REQUIRE(make_folders((folder / path).parent_path()));
      REQUIRE(write_file(folder / path, text));
    }
    return folder;
  }
  CliResult validate(const std::filesystem::path& model) {
    return stack.notp("alice", {"validate", "--verbose", model});
  }
  // Validates and publishes the model, and waits until both nodes decide with it.
  void publish(const std::string& name, const std::filesystem::path& model) {
    const CliResult judged = validate(model);
    REQUIRE_MESSAGE(judged.status == 0, judged.output << judged.error);
    const int64_t version = stack.published(model, ledger(name));
    REQUIRE(stack.becomes_active(*embedded, ledger(name), version));
    REQUIRE(stack.becomes_active(*fed, ledger(name), version));
  }

  // Returns the bytes of `result` for this input text, which must be equal from all three.
  std::string ask(const std::string& path, const std::string& input = "{}") const {
    const std::string body = stack.file("question.json");
    must(write_file(body, fmt::format(R"({{"input": {}}})", input)));
    const auto say = [&](const std::string& url) {
      const CurlAnswer answer = curl({"-H", "Content-Type: application/json", "--data-binary",
                                      "@" + body, url + "/v1/data/" + path});
      CHECK_MESSAGE(answer.status == 200, path << " " << answer.error << answer.body);
      return result_of(answer.body);
    };
    const std::string theirs = say(opa->url());
    for (const Agent* agent : {embedded, fed})
      CHECK_MESSAGE(say(agent->url()) == theirs,
                    path << " with " << input << " at " << agent->name());
    return theirs;
  }

 private:
  static std::string result_of(const std::string& body) {
    constexpr std::string_view kFront = R"({"result":)";
    std::string text = without_decision_id(body);
    while (text.ends_with('\n')) text.pop_back();
    if (!text.starts_with(kFront) || !text.ends_with('}')) return "undefined";
    return text.substr(kFront.size(), text.size() - kFront.size() - 1);
  }
};

}  // namespace notp
