/** Whether the tests are to take their time: `STEPWELL_RIGOROUS=1`. */
export const RIGOROUS = Deno.env.get("STEPWELL_RIGOROUS") === "1";
