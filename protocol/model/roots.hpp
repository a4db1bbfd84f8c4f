// Whether data paths and documents lie within data roots.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "protocol/model/data.hpp"

namespace notp::model {

// Data roots as segments. `a/b` contains data.a.b and everything below it.
class DataRoots {
 public:
  explicit DataRoots(const std::vector<std::string>& roots);

  bool contain(const DataPath& path) const;
  bool lie_below(const DataPath& path) const;  // at least one of them
  // Returns the first place of a document at `at` that is outside. Objects above a root may have
  // members that are within; empty ones fit.
  std::optional<DataPath> outside(DataPath at, const json::value& document) const;
  // The same of a text, without values of it in memory: a document may be as large as a model. A
  // name that is there twice counts each time. kMessage when it is no JSON, or nested deeper than
  // kJsonDepthMax.
  Result<std::optional<DataPath>> outside_of_json(DataPath at, ByteView text) const;

 private:
  bool find_outside(DataPath& at, const json::value& value) const;

  std::vector<DataPath> roots_;
};

}  // namespace notp::model
