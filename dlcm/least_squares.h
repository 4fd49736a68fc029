// What the fits of scaling_law.h share: small symmetric systems, and how good a fit is. Double precision.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace dlcm {

inline constexpr size_t kMostUnknowns = 11;  // the coefficients of Eq. 22
using Vector = std::array<double, kMostUnknowns>;
using Matrix = std::array<Vector, kMostUnknowns>;

// Solves matrix x = right by Cholesky: the first `count` rows, of which the lower triangle is read. False,
// with x as it was, if a pivot is not above `tolerance` times its diagonal element.
bool solve(Matrix matrix, Vector right, size_t count, double tolerance, Vector& x);

// The share of the records' variance that the predictions, one a record, explain; 1 where there is none.
double r_squared(const std::vector<double>& recorded, const std::vector<double>& predicted);

}  // namespace dlcm
