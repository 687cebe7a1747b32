//! One step of one sample, forwards and backwards, for each [cell](super::Cell): loops over its units that compile to
//! vector code.

use crate::kernels::isa::vectorised;
use crate::kernels::math;

vectorised! {
    /// The gates `i f g o` into `work`, and the states after the step.
    pub(super) fn lstm [](x: &[f32], product: &[f32], work: &mut [f32], c: &mut [f32], h: &mut [f32]) {
        let units = h.len();
        for ((gate, &x), &product) in work.iter_mut().zip(x).zip(product) {
            *gate = x + product;
        }
        work[..2 * units].iter_mut().for_each(|gate| *gate = math::sigmoid(*gate));
        work[2 * units..3 * units].iter_mut().for_each(|gate| *gate = math::tanh(*gate));
        work[3 * units..].iter_mut().for_each(|gate| *gate = math::sigmoid(*gate));
        let (i, rest) = work.split_at(units);
        let (f, rest) = rest.split_at(units);
        let (g, o) = rest.split_at(units);
        for (((c, &i), &f), &g) in c.iter_mut().zip(i).zip(f).zip(g) {
            *c = f * *c + i * g;
        }
        for ((h, &c), &o) in h.iter_mut().zip(&*c).zip(o) {
            *h = o * math::tanh(c);
        }
    }
}

vectorised! {
    /// `z r candidate (h U_h)` into `work`, and the state after the step.
    pub(super) fn gru_after [](x: &[f32], product: &[f32], work: &mut [f32], h: &mut [f32]) {
        let units = h.len();
        let (gates, rest) = work.split_at_mut(2 * units);
        for ((gate, &x), &product) in gates.iter_mut().zip(x).zip(product) {
            *gate = math::sigmoid(x + product);
        }
        let (candidate, recurrent) = rest.split_at_mut(units);
        recurrent.copy_from_slice(&product[2 * units..]);
        let r = &gates[units..];
        for (((candidate, &x), &r), &recurrent) in
            candidate.iter_mut().zip(&x[2 * units..]).zip(r).zip(&*recurrent)
        {
            *candidate = math::tanh(x + r * recurrent);
        }
        for ((h, &z), &candidate) in h.iter_mut().zip(&*gates).zip(&*candidate) {
            *h = z * *h + (1.0 - z) * candidate;
        }
    }
}

vectorised! {
    /// `z r` into `work`, and `r h` into `reset`.
    pub(super) fn gru_gates [](x: &[f32], product: &[f32], h: &[f32], work: &mut [f32], reset: &mut [f32]) {
        for ((gate, &x), &product) in work.iter_mut().zip(x).zip(product) {
            *gate = math::sigmoid(x + product);
        }
        for ((reset, &r), &h) in reset.iter_mut().zip(&work[h.len()..]).zip(h) {
            *reset = r * h;
        }
    }
}

vectorised! {
    /// The candidate behind `z r` in `work`, and the state after the step.
    pub(super) fn gru_candidate [](x: &[f32], product: &[f32], work: &mut [f32], h: &mut [f32]) {
        let units = h.len();
        let (gates, candidate) = work.split_at_mut(2 * units);
        for ((candidate, &x), &product) in candidate.iter_mut().zip(x).zip(product) {
            *candidate = math::tanh(x + product);
        }
        for ((h, &z), &candidate) in h.iter_mut().zip(&*gates).zip(&*candidate) {
            *h = z * *h + (1.0 - z) * candidate;
        }
    }
}

vectorised! {
    /// The state after the step.
    pub(super) fn tanh [](x: &[f32], product: &[f32], h: &mut [f32]) {
        for ((h, &x), &product) in h.iter_mut().zip(x).zip(product) {
            *h = math::tanh(x + product);
        }
    }
}

vectorised! {
    /// The state after the step.
    pub(super) fn relu [](x: &[f32], product: &[f32], h: &mut [f32]) {
        for ((h, &x), &product) in h.iter_mut().zip(x).zip(product) {
            *h = math::relu(x + product);
        }
    }
}

vectorised! {
    /// From the gradients of the states after a step that of the input's part, and that of `c` before the step.
    pub(super) fn lstm_gradient [](
        work: &[f32], c: &[f32], c_before: &[f32], dh: &[f32], dc: &mut [f32], dx: &mut [f32],
    ) {
        let units = dh.len();
        let (i, rest) = work.split_at(units);
        let (f, rest) = rest.split_at(units);
        let (g, o) = rest.split_at(units);
        let (di, rest) = dx.split_at_mut(units);
        let (df, rest) = rest.split_at_mut(units);
        let (dg, d_o) = rest.split_at_mut(units);
        for ((((d_o, dc), &c), &o), &dh) in d_o.iter_mut().zip(&mut *dc).zip(c).zip(o).zip(dh) {
            let c = math::tanh(c);
            *d_o = dh * c * (o * (1.0 - o));
            *dc += dh * o * (1.0 - c * c);
        }
        for (((di, &dc), &i), &g) in di.iter_mut().zip(&*dc).zip(i).zip(g) {
            *di = dc * g * (i * (1.0 - i));
        }
        for (((dg, &dc), &i), &g) in dg.iter_mut().zip(&*dc).zip(i).zip(g) {
            *dg = dc * i * (1.0 - g * g);
        }
        for (((df, dc), &f), &before) in df.iter_mut().zip(&mut *dc).zip(f).zip(c_before) {
            *df = *dc * before * (f * (1.0 - f));
            *dc *= f;
        }
    }
}

vectorised! {
    /// From the gradient of the state after a step that of the input's part and that of the product, `drecurrent`;
    /// `dh` becomes what reaches the state before the step without the product.
    pub(super) fn gru_after_gradient [](
        work: &[f32], h_before: &[f32], dh: &mut [f32], dx: &mut [f32], drecurrent: &mut [f32],
    ) {
        let units = h_before.len();
        let (z, rest) = work.split_at(units);
        let (r, rest) = rest.split_at(units);
        let (candidate, recurrent) = rest.split_at(units);
        let (dz, rest) = dx.split_at_mut(units);
        let (dr, dcandidate) = rest.split_at_mut(units);
        for ((((dz, &dh), &z), &before), &candidate) in
            dz.iter_mut().zip(&*dh).zip(z).zip(h_before).zip(candidate)
        {
            *dz = dh * (before - candidate) * (z * (1.0 - z));
        }
        for (((dcandidate, dh), &z), &candidate) in
            dcandidate.iter_mut().zip(&mut *dh).zip(z).zip(candidate)
        {
            *dcandidate = *dh * (1.0 - z) * (1.0 - candidate * candidate);
            *dh *= z;
        }
        for (((dr, &d), &r), &recurrent) in dr.iter_mut().zip(&*dcandidate).zip(r).zip(recurrent) {
            *dr = d * recurrent * (r * (1.0 - r));
        }
        drecurrent[..units].copy_from_slice(dz);
        drecurrent[units..2 * units].copy_from_slice(dr);
        for ((drecurrent, &d), &r) in drecurrent[2 * units..].iter_mut().zip(&*dcandidate).zip(r) {
            *drecurrent = d * r;
        }
    }
}

vectorised! {
    /// The parts of `z` and the candidate of the gradient of the input's part; `dh` as in `gru_after_gradient`.
    pub(super) fn gru_candidate_gradient [](
        work: &[f32], h_before: &[f32], dh: &mut [f32], dx: &mut [f32],
    ) {
        let units = h_before.len();
        let (z, candidate) = (&work[..units], &work[2 * units..]);
        let (dz, rest) = dx.split_at_mut(units);
        let dcandidate = &mut rest[units..];
        for ((((dz, &dh), &z), &before), &candidate) in
            dz.iter_mut().zip(&*dh).zip(z).zip(h_before).zip(candidate)
        {
            *dz = dh * (before - candidate) * (z * (1.0 - z));
        }
        for (((dcandidate, dh), &z), &candidate) in
            dcandidate.iter_mut().zip(&mut *dh).zip(z).zip(candidate)
        {
            *dcandidate = *dh * (1.0 - z) * (1.0 - candidate * candidate);
            *dh *= z;
        }
    }
}

vectorised! {
    /// The part of `r`, from the gradient of `r h`.
    pub(super) fn gru_reset_gradient [](
        r: &[f32], h_before: &[f32], dreset: &[f32], dh: &mut [f32], dr: &mut [f32],
    ) {
        for ((((dr, dh), &r), &before), &d) in
            dr.iter_mut().zip(dh).zip(r).zip(h_before).zip(dreset)
        {
            *dr = d * before * (r * (1.0 - r));
            *dh += d * r;
        }
    }
}

vectorised! {
    /// The gradient of the input's part from that of the state after the step.
    pub(super) fn tanh_gradient [](h: &[f32], dh: &[f32], dx: &mut [f32]) {
        for ((dx, &h), &dh) in dx.iter_mut().zip(h).zip(dh) {
            *dx = dh * (1.0 - h * h);
        }
    }
}

vectorised! {
    /// As `tanh_gradient`.
    pub(super) fn relu_gradient [](h: &[f32], dh: &[f32], dx: &mut [f32]) {
        for ((dx, &h), &dh) in dx.iter_mut().zip(h).zip(dh) {
            *dx = math::select(h > 0.0, dh, 0.0);
        }
    }
}
