// A typical role-based policy, with questions whose answers are known, and a release number in two
// of its files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/bench/editable_model.hpp"

namespace notp::bench {

struct RbacQuestion {
  Bytes input;  // JSON: subject, action, resource and context as AuthZEN has them; some 300 bytes
  bool allowed = false;
};

class RbacModel {
 public:
  // Writes the model into `folder`, which is new. The release number is 0.
  static Result<std::unique_ptr<RbacModel>> make(const std::filesystem::path& folder,
                                                 uint64_t seed);

  // Sets the number in a policy and in a document, in the folder and in content().
  Result<void> set_release(int64_t number);
  // Deterministic.
  std::vector<RbacQuestion> questions(size_t count) const;

  const model::ModelContent& content() const { return files_.content(); }
  const std::filesystem::path& folder() const { return files_.folder(); }
  static std::vector<std::string> roots();

 private:
  struct User {
    std::vector<size_t> roles;
    std::vector<size_t> tenants;
  };
  struct Grant {
    size_t action = 0, type = 0;
    bool operator==(const Grant&) const = default;
  };

  RbacModel(std::filesystem::path folder, uint64_t seed) : seed_(seed), files_(std::move(folder)) {}
  void draw();
  std::string users_text() const;
  std::string roles_text() const;
  bool allows(const User& user, const Grant& grant, size_t tenant) const;

  const uint64_t seed_;
  EditableModel files_;
  std::vector<User> users_;
  std::vector<std::vector<Grant>> roles_;
};

// Path below /v1/data, and below data for AuthZEN.
inline constexpr std::string_view kRbacAllow = "authzen/allow";
// An object: "allow", and the release number from either file as "rule" and "document".
inline constexpr std::string_view kRbacStamped = "authzen/stamped";
// True, after 10,000 steps.
inline constexpr std::string_view kRbacCostly = "notp_bench/costly/holds";
// Does not terminate.
inline constexpr std::string_view kRbacEndless = "notp_bench/endless/holds";

}  // namespace notp::bench
