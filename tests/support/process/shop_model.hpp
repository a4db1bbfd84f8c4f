// A small model for tests of the API: a rule by user, a label with a slash, numbers, failures.
#pragma once

#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

inline const std::string kShop = "100000000000/shop";

inline std::filesystem::path write_shop_model(const Stack& stack) {
  const std::filesystem::path folder = stack.file("shop-model");
  must(make_folders(folder / "shop/labels"));
  must(write_file(folder / "manifest.json", R"({
    "metadata": {"name": "shop"},
    "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
    "partitions": {"/": {"runtime": "rego"}},
    "roots": ["shop"]})"));
  must(write_file(folder / "shop/policy.rego",
                  "package shop\n\n"
                  "default allow := false\n\n"
                  "allow if input.user in data.shop.users\n\n"
                  "granted if input.user == \"u-1\"\n\n"
                  "big := 123456789012345678901234567890\n\n"
                  "echo := input\n\n"
                  "both := 1 if input.both\n\n"
                  "both := 2 if input.both\n\n"
                  "division := 1 / input.zero\n\n"
                  "authzen := {\"decision\": input.subject.id == \"u-1\", "
                  "\"context\": {\"serial\": input.subject.properties.serial}}\n"));
  must(write_file(folder / "shop/data.json", R"({"users": ["u-1", "u-2"]})"));
  must(write_file(folder / "shop/labels/data.json", R"({"app/tier": "front"})"));
  return folder;
}

// The shop with rules of its own, and rules for the log of decisions. `decisions`: of the manifest.
inline std::filesystem::path write_logged_shop(const Stack& stack, std::string_view decisions,
                                               std::string_view rules, std::string_view log_rules) {
  const std::filesystem::path folder = stack.file("shop");
  must(make_folders(folder / "shop"));
  must(make_folders(folder / "log"));
  must(write_file(folder / "manifest.json", fmt::format(R"({{
    "metadata": {{"name": "shop"}},
    "runtimes": {{"rego": {{"language": {{"name": "rego", "version": "1"}}}}}},
    "partitions": {{"/": {{"runtime": "rego"}}}},
    "roots": ["shop", "system/log"],
    "decisions": {}}})",
                                                        decisions)));
  must(write_file(folder / "shop/shop.rego", rules));
  must(write_file(folder / "log/log.rego", log_rules));
  return folder;
}

// Sets the users whom the policy allows: one line of data that several people change. `users` are
// JSON strings with commas between.
inline void set_users(const std::filesystem::path& model, const std::string& users) {
  must(write_file(model / "shop/data.json", fmt::format(R"({{"users": [{}]}})", users)));
}

}  // namespace notp
