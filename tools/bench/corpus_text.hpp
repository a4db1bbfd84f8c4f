// Files of the generated workload: policies with a shared vocabulary, documents of subjects, key
// sets. The text depends on the generator's state only.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace notp::bench {

// A random generator with the same numbers from the same seed on every platform, which the
// standard's distributions do not guarantee.
class Chance {
 public:
  explicit Chance(uint64_t seed) : engine_(seed) {}
  uint64_t below(uint64_t bound) { return engine_() % bound; }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low + 1)));
  }
  bool percent(unsigned chance) { return below(100) < chance; }
  template <typename List>
  auto pick(const List& list) {
    return list[below(std::size(list))];
  }
  std::string hex(size_t digits);
  std::string base64url(size_t bytes);

 private:
  std::mt19937_64 engine_;
};

struct Subject {
  std::string id, email, roles, department, tenant, updated_at;  // roles: a JSON array
  int clearance = 0;
  bool mfa = false;
};

Subject make_subject(Chance& chance);
std::string make_timestamp(Chance& chance);
// Sorted by id, without spaces, on one line, like an export.
std::string document_text(const std::vector<Subject>& subjects);
std::string subject_text(const Subject& subject);

std::string policy_text(Chance& chance, const std::string& team, size_t number);
// One JSON Web Key, public members only.
std::string key_text(Chance& chance, bool rsa);
std::string key_set_text(const std::vector<std::string>& keys);
std::string manifest_text();

}  // namespace notp::bench
