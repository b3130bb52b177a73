import css from "./Logo.module.css";
import icon from "./icon.svg";

export function Logo() {
  return (
    <span className={css.logo}>
      <img src={icon} alt="" width="26" height="26" />
      Signalbox
    </span>
  );
}
